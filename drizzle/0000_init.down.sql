DROP TABLE `accounts`;--> statement-breakpoint
DROP TABLE `lanes`;--> statement-breakpoint
DROP TABLE `meta`;--> statement-breakpoint
DROP TABLE `offsets`;--> statement-breakpoint
DROP TABLE `refresh_tokens`;--> statement-breakpoint
DROP TABLE `sessions`;--> statement-breakpoint
DROP TABLE `task_logs`;--> statement-breakpoint
DROP TABLE `tasks`;
