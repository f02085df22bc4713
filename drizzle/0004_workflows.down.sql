DROP TABLE `workflow_joints`;--> statement-breakpoint
DROP TABLE `workflow_tasks`;--> statement-breakpoint
DROP TABLE `workflows`;
