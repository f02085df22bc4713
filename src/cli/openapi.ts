import { readCall } from "../config.ts";
import type { Command } from "./commands.ts";
import { version } from "./version.ts";

export const openapiCommand: Command = {
  name: "openapi",
  purpose: "print the OpenAPI document",
  usage: "openapi",
  flags: [],
  example: "artel openapi > openapi.json",
  async run(args, io) {
    readCall("openapi", args, openapiCommand.flags, io.environment);
    const { openapiDocument } = await import("../compose.ts");
    io.out(JSON.stringify(await openapiDocument(version), null, 2));
    return 0;
  },
};
