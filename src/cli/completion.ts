import { FLAGS, type Flag, readCall, UsageError, valuesOf } from "../config.ts";
import type { Command } from "./commands.ts";

/** Asks the program itself, so that what is offered is what this executable takes; `%` stands for its hidden command. */
const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_artel() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$(artel complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f1)" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o bashdefault -o default -F _artel artel`,
  zsh: `#compdef artel
_artel() {
  local -a found
  local line
  for line in "\${(@f)$(artel complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -n $line ]] && found+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  if (( \${#found} )); then _describe artel found; else _files; fi
}
compdef _artel artel`,
  fish: `function __artel_complete
  set -l words (commandline -opc) (commandline -ct)
  artel complete -- $words[2..-1] 2>/dev/null
end
complete -c artel -a '(__artel_complete)'`,
};
const SHELLS = Object.keys(SCRIPTS);

export const completionCommand: Command = {
  name: "completion",
  purpose: "print what makes a shell complete this program's commands and flags",
  usage: "completion bash | zsh | fish",
  flags: [],
  words: SHELLS,
  example: 'eval "$(artel completion bash)"',
  async run(args, io) {
    const [shell = ""] = readCall("completion", args, [], io.environment, 1).words;
    const script = SCRIPTS[shell];
    if (script === undefined) throw new UsageError(`artel completion takes ${SHELLS.join(", ")}`);
    io.out(script);
    return 0;
  },
};

/** What the shells' scripts ask: the words so far, the last of them unfinished. */
export function completeCommand(commands: () => readonly Command[]): Command {
  return {
    name: "complete",
    purpose: "list what can follow on a command line",
    usage: "complete -- WORD...",
    flags: [],
    example: "artel complete -- serve --lo",
    hidden: true,
    async run(args, io) {
      const words = args[0] === "--" ? args.slice(1) : args;
      for (const { word, meaning } of candidates(commands(), words)) io.out(`${word}\t${meaning}`);
      return 0;
    },
  };
}

interface Candidate {
  readonly word: string;
  readonly meaning: string;
}

function candidates(all: readonly Command[], words: readonly string[]): Candidate[] {
  const shown = all.filter(({ hidden }) => !hidden);
  const [name = "", ...rest] = words;
  const last = rest.at(-1);
  if (last === undefined) return fitting(asCandidates(shown), name);
  const command = shown.find((each) => each.name === name);
  if (!command) return [];
  const flags: readonly Flag[] = command.flags.map((key) => FLAGS[key]);
  const before = flags.find((flag) => `--${flag.name}` === rest.at(-2));
  if (before && before.kind !== "switch") return fitting(valuesOf(before).map(plain), last);
  if (last.startsWith("-"))
    return fitting(
      flags.map(({ name: flag, help }) => ({ word: `--${flag}`, meaning: help })),
      last,
    );
  if (rest.length > 1) return [];
  return fitting(name === "help" ? asCandidates(shown) : (command.words ?? []).map(plain), last);
}

const plain = (word: string): Candidate => ({ word, meaning: "" });
const asCandidates = (commands: readonly Command[]): Candidate[] =>
  commands.map(({ name, purpose }) => ({ word: name, meaning: purpose }));
const fitting = (all: readonly Candidate[], begun: string): Candidate[] => all.filter(({ word }) => word.startsWith(begun));
