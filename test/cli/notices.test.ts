import { expect, test } from "bun:test";
import { NoticeStream } from "../../src/cli/client/notices.ts";
import type { Session } from "../../src/cli/client/session.ts";
import { suiteServer } from "../support/server.ts";

const { server } = await suiteServer();

test("the client tells of the tasks of a workflow, each step once, and passes over what is said of the workflow", async () => {
  const ada = await server.user();
  const opened = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const changes: string[] = [];
  const faults: string[] = [];
  const stream = new NoticeStream(server.url, { token: async () => ada.token } as unknown as Session, {
    changed: ({ task_id, status }) => {
      changes.push(`${task_id} ${status}`);
      if (changes.length === 7) ended.resolve();
    },
    progressed: ({ task_id }) => void faults.push(`progress of ${task_id}`),
    opened: () => opened.resolve(),
    lost: ({ message }) => void faults.push(message),
    back: () => void faults.push("back"),
    reset: () => void faults.push("reset"),
    failed: ({ message }) => void faults.push(message),
  });
  stream.start();
  await opened.promise;
  const echo = (value: unknown) => ({ task: "echo", input: { value } });
  const answer = await ada.post("/workflows", { chain: [echo(1), echo({ $result: "" })] });
  const { task_ids } = (await answer.json()) as { task_ids: string[] };
  await ended.promise;
  stream.close();
  const [a, b] = task_ids;
  expect(changes.toSorted()).toEqual(
    [`${a} done`, `${a} in progress`, `${a} queued`, `${b} done`, `${b} in progress`, `${b} queued`, `${b} scheduled`].toSorted(),
  );
  expect(faults).toEqual([]);
});
