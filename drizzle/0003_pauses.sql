CREATE TABLE `pauses` (
	`kind` text NOT NULL,
	`name` text NOT NULL,
	`since` integer NOT NULL,
	PRIMARY KEY(`kind`, `name`)
);
