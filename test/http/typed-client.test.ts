import { expect, test } from "bun:test";
import { Artel } from "../../src/cli/typed/client.ts";
import { suiteServer } from "../support/server.ts";

const { server, gates } = await suiteServer();

test("a signal that outlives what was watched with it is left as it was", async () => {
  const ada = await server.user();
  const artel = new Artel({ server: server.url, token: ada.headers.authorization.replace("Bearer ", "") });
  const { signal } = new AbortController();
  let listeners = 0;
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
  Object.assign(signal, {
    addEventListener: (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    },
    removeEventListener: (...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    },
  });
  const gate = gates.add();
  const { task_id } = await artel.submit("hold", { gate: gate.url });
  const statuses: string[] = [];
  const ended = await artel.wait(task_id, {
    signal,
    onUpdate: ({ status }) => {
      if (status === "in progress") gate.open("through");
      statuses.push(status);
    },
  });
  expect([ended.status, statuses.at(-1)]).toEqual(["done", "done"]);
  expect(listeners).toBe(0);
});
