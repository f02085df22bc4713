import type { AccountStore } from "../ports/accounts.ts";
import type { Passwords } from "../ports/passwords.ts";
import type { Clock, Random } from "../ports/runtime.ts";
import { createAccount } from "./account-admin.ts";
import type { Caller } from "./tasks.ts";

/** No e-mail address, so nobody can register it or log in with it. */
const NAME = "schedules";
const PASSWORD_BYTES = 32;

/** The account that owns what runs by a schedule: admins see its tasks. It is made when it is first asked for. */
export function scheduleOwner(deps: {
  store: AccountStore;
  passwords: Passwords;
  clock: Clock;
  random: Random;
}): () => Promise<Caller> {
  let owner: Promise<Caller> | undefined;
  const find = async (): Promise<Caller> => {
    const account =
      deps.store.byEmail(NAME) ??
      (await createAccount(deps, { email: NAME, prepared: deps.random.token(PASSWORD_BYTES), role: "user" }));
    return { n: account.n, id: account.id, admin: false };
  };
  return () => {
    owner ??= find();
    owner.catch(() => {
      owner = undefined;
    });
    return owner;
  };
}
