import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { openMigrations } from "./compose-migrations.ts";
import { StartupError } from "./domain/errors.ts";
import { Argon2Passwords } from "./drivers/argon2.ts";
import { jwtSigner } from "./drivers/jwt.ts";
import { givenSecret, hasSecret, loadSecret } from "./drivers/secret.ts";
import { sqliteAccounts } from "./drivers/sqlite/accounts.ts";
import { asStartupError, openDatabase } from "./drivers/sqlite/database.ts";
import { refuseUnfit } from "./drivers/sqlite/inspect.ts";
import { MetaRows } from "./drivers/sqlite/meta-rows.ts";
import { migrationStatus } from "./drivers/sqlite/migrate.ts";
import { preparedOn } from "./drivers/sqlite/prepared.ts";
import { systemClock, systemRandom } from "./drivers/system.ts";
import { AccountAdmin } from "./services/account-admin.ts";

export interface OpenedAccounts extends Disposable {
  readonly admin: AccountAdmin;
}

/**
 * Opens a data directory for changes to its accounts, also beside a server.
 *
 * @param make whether a database is made where there is none, as a server's first start would
 * @param secret ARTEL_SECRET; only who issues tokens needs one
 * @throws StartupError `no_database`, `migrations_pending`, `data_locked`, `data_unreadable`, `database_corrupt`, `database_newer`, …
 */
export function openAccounts(directory: string, make: boolean, secret: string | undefined): OpenedAccounts {
  const path = resolve(directory);
  const file = join(path, "artel.db");
  if (!existsSync(file)) {
    if (!make) throw new StartupError("no_database", `there is no ${file}: artel serve or artel user create makes one`);
    using migrations = openMigrations(path, "up");
    migrations.up();
  }
  refuseUnfit(file);
  const { db, orm, close } = openDatabase(file);
  try {
    if (migrationStatus(db).some(({ applied }) => !applied))
      throw new StartupError("migrations_pending", `${file} lacks migrations: start the server, or run artel migrate up`);
    const served = new MetaRows(preparedOn(db)).get("epoch") !== undefined;
    const admin = new AccountAdmin({
      store: sqliteAccounts(orm),
      passwords: new Argon2Passwords(),
      signer: { sign: async (claims) => (await jwtSigner(secretOf(path, secret, served), systemClock)).sign(claims) },
      clock: systemClock,
      random: systemRandom,
    });
    return { admin, [Symbol.dispose]: close };
  } catch (error) {
    close();
    throw asStartupError(file, error);
  }
}

/** A server that has run without leaving a secret has it from its environment: one made here would sign what it refuses. */
function secretOf(directory: string, given: string | undefined, served: boolean): string {
  if (served && givenSecret(given) === undefined && !hasSecret(directory))
    throw new StartupError("no_secret", `there is no ${join(directory, "secret")}: set ARTEL_SECRET to the server's`);
  return loadSecret(directory, given);
}
