ALTER TABLE `workflow_tasks` DROP COLUMN `delay_ms`;
