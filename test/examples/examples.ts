/** The example task files as somebody has them who has copied the folder and installed what its package.json names. */
import { cpSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Ended, Place, type Served } from "../support/artel-process.ts";
import { Client } from "../support/e2e-client.ts";

export const FOLDER = join(import.meta.dir, "tasks");
const PACKAGES = join(import.meta.dir, "../../node_modules");

export interface Settings {
  readonly dependencies: Readonly<Record<string, string>>;
}

export async function placeWithExamples(): Promise<Place> {
  const place = await Place.make();
  cpSync(FOLDER, place.path("tasks"), { recursive: true, filter: (path) => !path.includes("node_modules") });
  const { dependencies } = JSON.parse(readFileSync(join(FOLDER, "package.json"), "utf8")) as Settings;
  for (const name of Object.keys(dependencies)) install(place, name);
  return place;
}

/** Puts one of this project's packages into the folder's own. */
export function install(place: Place, name: string): void {
  const link = place.path("tasks/node_modules", name);
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync(join(PACKAGES, name), link);
}

/** The examples, served, with a user. They may call services on this machine. */
export async function serveExamples(place: Place, args = ["--threads", "1"]): Promise<Served & { readonly ada: Client }> {
  const served = await place.serve(["--tasks", "tasks", ...args], { ARTEL_ALLOW_PRIVATE_HOSTS: "1" });
  return { ...served, ada: await Client.register(served.url) };
}

/** The three lines at the top of an example: what it does, what it shows, how it is submitted. */
export function headerOf(name: string): readonly string[] {
  const [head = ""] = readFileSync(join(FOLDER, `${name}.ts`), "utf8").split("import ");
  return head.trimEnd().split("\n");
}

/**
 * Runs the command that an example's header names, as its user.
 *
 * @param url stands for the service that the header names
 */
export async function runHeader(place: Place, name: string, client: Client, url = ""): Promise<Ended> {
  const [command = ""] = (headerOf(name)[2] ?? "").replace(/^\/\/ artel /, "").split(";");
  const words = (command.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replaceAll("'", "").replace(/^https:.*/, url));
  return await place.run([...words, "--json"], { ARTEL_SERVER: client.url, ARTEL_TOKEN: client.token });
}
