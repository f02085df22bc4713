CREATE TABLE `workflow_joints` (
	`n` integer PRIMARY KEY NOT NULL,
	`workflow` integer NOT NULL,
	`pending` integer NOT NULL,
	`bad` integer NOT NULL,
	`value` text NOT NULL,
	FOREIGN KEY (`workflow`) REFERENCES `workflows`(`n`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `workflow_joints_workflow` ON `workflow_joints` (`workflow`);--> statement-breakpoint
CREATE TABLE `workflow_tasks` (
	`task` integer PRIMARY KEY NOT NULL,
	`workflow` integer NOT NULL,
	`waits_for` integer,
	`counts_into` integer NOT NULL,
	`unresolved` integer NOT NULL,
	`abandoned` integer NOT NULL,
	FOREIGN KEY (`task`) REFERENCES `tasks`(`n`) ON UPDATE no action ON DELETE cascade,
	FOREIGN KEY (`workflow`) REFERENCES `workflows`(`n`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `workflow_tasks_workflow` ON `workflow_tasks` (`workflow`);--> statement-breakpoint
CREATE INDEX `workflow_tasks_waits_for` ON `workflow_tasks` (`waits_for`) WHERE waits_for IS NOT NULL;--> statement-breakpoint
CREATE TABLE `workflows` (
	`n` integer PRIMARY KEY NOT NULL,
	`id` text NOT NULL,
	`owner` integer NOT NULL,
	`seq` integer NOT NULL,
	`untold` integer NOT NULL,
	`counts` text NOT NULL,
	`reached` integer NOT NULL,
	`created_at` integer NOT NULL,
	`finished_at` integer,
	`idempotency_key` text,
	`digest` text,
	FOREIGN KEY (`owner`) REFERENCES `accounts`(`n`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `workflows_owner` ON `workflows` (`owner`);--> statement-breakpoint
CREATE INDEX `workflows_owner_seq` ON `workflows` (`owner`,`seq`);--> statement-breakpoint
CREATE INDEX `workflows_untold` ON `workflows` (`n`) WHERE untold = 1;--> statement-breakpoint
CREATE INDEX `workflows_idempotency` ON `workflows` (`owner`,`idempotency_key`) WHERE idempotency_key IS NOT NULL;