/** The command line as a whole: every command, and what happens to their errors. */
import { Command } from 'commander';
import { detectRuntime } from '../runtime/index.ts';
import { VERSION } from '../version.ts';
import { addAnalyze } from './command-analyze.ts';
import { addBridge } from './command-bridge.ts';
import { addCache } from './command-cache.ts';
import { addCompare } from './command-compare.ts';
import { addContinue } from './command-continue.ts';
import { addDoctor } from './command-doctor.ts';
import { addEvaluate } from './command-evaluate.ts';
import { addGenerate } from './command-generate.ts';
import { addInit } from './command-init.ts';
import { addMerge } from './command-merge.ts';
import { addObjectives } from './command-objectives.ts';
import { addOwnOutput } from './command-own-output.ts';
import { addPreview } from './command-preview.ts';
import { addRate } from './command-rate.ts';
import { addReport } from './command-report.ts';
import { addRollout } from './command-rollout.ts';
import { addScore } from './command-score.ts';
import { addServe } from './command-serve.ts';
import { addSweep } from './command-sweep.ts';
import { addTrain } from './command-train.ts';
import { addValidate } from './command-validate.ts';
import { addView } from './command-view.ts';
import { addWeigh } from './command-weigh.ts';
import type { Cli } from './context.ts';
import { EXIT, EXIT_CODES, reportFailure } from './failure.ts';

/** The program with all of its commands, writing through `cli`. */
export function buildProgram(cli: Cli): Command {
  const program = new Command('prefgrad')
    .description(
      'Preference tuning of language models on any GPU. A new machine: "prefgrad doctor". A first run: ' +
        '"prefgrad train examples/quickstart.yaml". Your own data: "prefgrad init", then "prefgrad validate", ' +
        '"prefgrad preview" and "prefgrad train".',
    )
    .version(VERSION)
    .option(
      '--device <NAME|INDEX>',
      'the GPU: part of its name, such as nvidia or lavapipe, or its number in the list of doctor',
    )
    .option('--verbose', 'show also what GPU drivers write')
    .hook('preAction', (command, action) => {
      if (command.opts<{ verbose?: true }>().verbose) process.env.PREFGRAD_VERBOSE = '1';
      cli.begin?.(pathOf(action));
    })
    .addHelpText('after', `\n"prefgrad help COMMAND" says more on each.\n\n${EXIT_CODES}`)
    .configureOutput({ writeOut: (text) => cli.out(text), writeErr: (text) => cli.err(text) })
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('("--help" shows what there is)')
    .exitOverride();
  for (const add of [
    addInit,
    addTrain,
    addSweep,
    addValidate,
    addView,
    addPreview,
    addScore,
    addGenerate,
    addServe,
    addRollout,
    addRate,
    addOwnOutput,
    addContinue,
    addBridge,
    addWeigh,
    addEvaluate,
    addAnalyze,
    addReport,
    addCompare,
    addMerge,
    addObjectives,
    addDoctor,
    addCache,
  ]) {
    add(program, cli);
  }
  return program;
}

/** 'evaluate task', say. */
function pathOf(command: Command): string {
  const { parent } = command;
  return parent?.parent ? `${pathOf(parent)} ${command.name()}` : command.name();
}

/** Runs one command line, without the program's name. @returns the exit code */
export async function runCli(args: readonly string[], cli: Cli = processCli()): Promise<number> {
  try {
    await buildProgram(cli).parseAsync([...args], { from: 'user' });
    return cli.exitCode;
  } catch (error) {
    return reportFailure(error, (text) => cli.err(text));
  }
}

/** stdout, stderr and the runtime of this process. */
export function processCli(): Cli {
  const cli: Cli = {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    terminal: process.stderr.isTTY ? process.stderr : undefined,
    runtime: () => detectRuntime((text) => process.stderr.write(`${text}\n`)),
    exitCode: EXIT.done,
  };
  // Progress that nobody can hear ends no run. Results that are lost are a failure.
  outliveReader(process.stderr, () => {});
  outliveReader(process.stdout, (error) => {
    if (cli.exitCode !== EXIT.failed) cli.err(`prefgrad: standard output: ${error.message}\n`);
    cli.exitCode = EXIT.failed;
    // The command may have ended before its last line was found to be lost.
    process.exitCode = EXIT.failed;
  });
  return cli;
}

/**
 * Whoever read the stream may be gone, such as a terminal or `head`: a run goes on without being heard.
 * @param lost told of any other failure, such as a full disk
 */
function outliveReader(stream: NodeJS.WriteStream, lost: (error: Error) => void): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (!['EPIPE', 'EIO', 'ECONNRESET'].includes(error.code ?? '')) lost(error);
  });
}
