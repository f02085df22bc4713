CREATE TABLE `answered_keys` (
	`owner` integer NOT NULL,
	`key` text NOT NULL,
	`task` integer NOT NULL,
	`input` text NOT NULL,
	PRIMARY KEY(`owner`, `key`, `task`),
	FOREIGN KEY (`task`) REFERENCES `tasks`(`n`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `answered_keys_task` ON `answered_keys` (`task`);