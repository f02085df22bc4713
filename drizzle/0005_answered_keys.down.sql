DROP TABLE `answered_keys`;
