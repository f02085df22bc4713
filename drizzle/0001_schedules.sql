CREATE TABLE `schedules` (
	`task` text PRIMARY KEY NOT NULL,
	`cron` text NOT NULL,
	`time_zone` text NOT NULL,
	`paused` integer NOT NULL,
	`next_at` integer,
	`last_at` integer,
	`last_task` text
);
