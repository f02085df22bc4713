UPDATE `tasks` SET `status` = 6, `error_code` = 'cancelled', `error_message` = 'this version knows no workflows', `finished_at` = CAST(strftime('%s', 'now') AS INTEGER) * 1000 WHERE `status` = 0 AND `run_at` = 8640000000000000;--> statement-breakpoint
DROP TABLE `workflow_joints`;--> statement-breakpoint
DROP TABLE `workflow_tasks`;--> statement-breakpoint
DROP TABLE `workflows`;
