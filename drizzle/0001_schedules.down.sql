DROP TABLE `schedules`;
