CREATE TABLE `unique_keys` (
	`key` text PRIMARY KEY NOT NULL,
	`task` integer NOT NULL,
	FOREIGN KEY (`task`) REFERENCES `tasks`(`n`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `unique_keys_task` ON `unique_keys` (`task`);