CREATE TABLE `accounts` (
	`n` integer PRIMARY KEY NOT NULL,
	`id` text NOT NULL,
	`email` text NOT NULL,
	`password_hash` text NOT NULL,
	`role` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `accounts_id_unique` ON `accounts` (`id`);--> statement-breakpoint
CREATE UNIQUE INDEX `accounts_email_unique` ON `accounts` (`email`);--> statement-breakpoint
CREATE TABLE `lanes` (
	`n` integer PRIMARY KEY NOT NULL,
	`owner` integer NOT NULL,
	`queue` text NOT NULL,
	`name` text NOT NULL,
	`priority` integer NOT NULL,
	FOREIGN KEY (`owner`) REFERENCES `accounts`(`n`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `lanes_key` ON `lanes` (`owner`,`queue`,`name`,`priority`);--> statement-breakpoint
CREATE TABLE `meta` (
	`key` text PRIMARY KEY NOT NULL,
	`value` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `offsets` (
	`stream` text PRIMARY KEY NOT NULL,
	`epoch` text NOT NULL,
	`id` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `refresh_tokens` (
	`hash` text PRIMARY KEY NOT NULL,
	`session` text NOT NULL,
	`created_at` integer NOT NULL,
	`spent_at` integer,
	FOREIGN KEY (`session`) REFERENCES `sessions`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `refresh_tokens_session` ON `refresh_tokens` (`session`);--> statement-breakpoint
CREATE TABLE `sessions` (
	`id` text PRIMARY KEY NOT NULL,
	`account` integer NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`revoked_at` integer,
	FOREIGN KEY (`account`) REFERENCES `accounts`(`n`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `sessions_account` ON `sessions` (`account`);--> statement-breakpoint
CREATE INDEX `sessions_expires` ON `sessions` (`expires_at`);--> statement-breakpoint
CREATE TABLE `task_logs` (
	`task` integer NOT NULL,
	`line` integer NOT NULL,
	`at` integer NOT NULL,
	`level` text NOT NULL,
	`message` text NOT NULL,
	PRIMARY KEY(`task`, `line`),
	FOREIGN KEY (`task`) REFERENCES `tasks`(`n`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `tasks` (
	`n` integer PRIMARY KEY NOT NULL,
	`id` text NOT NULL,
	`owner` integer NOT NULL,
	`lane` integer NOT NULL,
	`status` integer NOT NULL,
	`seq` integer NOT NULL,
	`attempt` integer NOT NULL,
	`max_attempts` integer NOT NULL,
	`fence` integer NOT NULL,
	`dispatched` integer NOT NULL,
	`deaths` integer NOT NULL,
	`cancel_requested` integer NOT NULL,
	`progress` real,
	`created_at` integer NOT NULL,
	`run_at` integer NOT NULL,
	`started_at` integer,
	`finished_at` integer,
	`idempotency_key` text,
	`message` text,
	`error_code` text,
	`error_message` text,
	`args` text NOT NULL,
	`result` text,
	FOREIGN KEY (`owner`) REFERENCES `accounts`(`n`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`lane`) REFERENCES `lanes`(`n`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `tasks_owner` ON `tasks` (`owner`);--> statement-breakpoint
CREATE INDEX `tasks_owner_seq` ON `tasks` (`owner`,`seq`);--> statement-breakpoint
CREATE INDEX `tasks_status` ON `tasks` (`status`,`owner`) WHERE status IN (0, 2, 3, 5, 6);--> statement-breakpoint
CREATE INDEX `tasks_queued` ON `tasks` (`dispatched`,`lane`) WHERE status = 1;--> statement-breakpoint
CREATE INDEX `tasks_due` ON `tasks` (`run_at`) WHERE status IN (0, 3);--> statement-breakpoint
CREATE INDEX `tasks_idempotency` ON `tasks` (`owner`,`idempotency_key`) WHERE idempotency_key IS NOT NULL;