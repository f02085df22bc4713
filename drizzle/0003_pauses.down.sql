DROP TABLE `pauses`;
