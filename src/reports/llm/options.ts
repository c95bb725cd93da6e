import { closeSync, createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { sqlText } from '../../duckdb.ts';
import { PenumbraError } from '../../errors.ts';
import { openLog, openRegular, readRegular, writeAll, writeNamedResult } from '../../files/index.ts';
import type { Extractor } from '../extract/extractor.ts';
import type { FindingSet } from '../findings/findings.ts';
import { type InputOptions, readableReports } from '../io/reports-in.ts';
import { withDuckDB } from '../io/tables.ts';
import type { Assessor } from '../rules/assess.ts';
import type { FindingRow } from '../types.ts';
import { createCrossCheckedExtractor, disagreementMark } from './cross-check.ts';
import { describeEstimate, describeStats, estimateExtraction } from './estimate.ts';
import { createLlmExtractor, type LlmExtractor } from './extractor.ts';
import { sendingWarning } from './http.ts';
import { chatEndpoint } from './server.ts';

/** The flags of `penumbra extract` that speak of the language model, as the command line gives them. */
export interface LlmFlags {
  server?: string;
  gguf?: string;
  /** A proxy for the server. */
  proxy?: string;
  model?: string;
  /** A file. */
  prompt?: string;
  concurrency?: number;
  /** Seconds. */
  requestTimeout?: number;
  retries?: number;
  /** `in,out`: the price of a million tokens read and written. */
  price?: string;
}

/**
 * The warning that is due before anything is sent: where it goes, what it is, and how many reports.
 * @param reports undefined where they were not counted
 */
export function warningOf(flags: LlmFlags, reports?: number): string | undefined {
  if (flags.server === undefined || flags.gguf !== undefined) return undefined;
  const count = reports === undefined ? 'reports' : `${reports} reports`;
  return sendingWarning(chatEndpoint(flags.server), `the full text of ${count}`, flags.proxy);
}

/**
 * The warning that is due besides where the reports look like MIMIC's and would leave this machine.
 * @param ids of reports: MIMIC-CXR's studies (`s50414267`, also behind their path), MIMIC-IV's notes (`10000032-RR-15`)
 */
export function licenceWarningOf(flags: LlmFlags, ids: Iterable<string>): string | undefined {
  if (warningOf(flags) === undefined) return undefined;
  let [all, alike] = [0, 0];
  let example = '';
  for (const id of ids) {
    all++;
    if (!MIMIC_ID.test(id)) continue;
    alike++;
    example ||= id.replace(/\d/g, '9');
  }
  if (alike === 0 || alike < all / 2) return undefined;
  return `warning: these reports look like MIMIC's (ids of the form ${example}). PhysioNet's data use agreement forbids giving them to anybody else, and a language model's server that is not this machine may be somebody else's: run the model on this machine, or ask who runs that server. Ctrl-C stops it.`;
}

/** Ids that are looked at. */
const LOOKED_AT = 1000;
const MIMIC_ID = /(?:^|\/)(?:s?5\d{7}|1\d{7}-(?:RR|AR|DS)-\d+)(?:\.txt)?(?:##\d+)?$/;

/** The language model, or with an assessor both extractors, for the verb. */
export function openLlmExtractor(
  findings: FindingSet,
  flags: LlmFlags,
  assessor?: Assessor,
): {
  extractor: Extractor;
  close: () => Promise<void>;
  /** One line: rates and failures so far. */
  info: () => string;
} {
  const llm = fromFlags(findings, flags);
  return {
    extractor: assessor === undefined ? llm : createCrossCheckedExtractor(assessor, llm),
    close: () => llm.close(),
    info: () => describeStats(llm.stats()),
  };
}

/**
 * What the whole input would take, as one line. Reads all of it, warns if it would leave this machine, and sends one
 * made-up report.
 * @throws PenumbraError `reports/llm-probe` when the model does not answer
 */
export async function estimate(
  input: string,
  findings: FindingSet,
  flags: LlmFlags,
  options: InputOptions = {},
  onWarning: (text: string) => void = () => {},
): Promise<string> {
  const price = flags.price === undefined ? undefined : priceOf(flags.price);
  const llm = fromFlags(findings, flags);
  try {
    const ids: string[] = [];
    const probe = (count: number) => {
      for (const warning of [warningOf(flags, count), licenceWarningOf(flags, ids)])
        if (warning !== undefined) onWarning(warning);
      // A model may be loading for minutes; a screen that shows nothing looks like a hang.
      let waited = 0;
      const timer = setInterval(() => {
        waited += 5;
        onWarning(`waiting for the language model: no answer for ${waited} s`);
      }, 5000);
      return llm.probe().finally(() => clearInterval(timer));
    };
    const reports = (async function* () {
      for await (const batch of readableReports(input, options)) {
        for (const { id } of batch) if (ids.length < LOOKED_AT) ids.push(id);
        yield* batch;
      }
    })();
    return describeEstimate(
      await estimateExtraction(reports, llm, { probe, ...(price !== undefined && { price }) }),
    );
  } finally {
    await llm.close();
  }
}

/**
 * Writes the rows of an `llm+rules` output on which both disagree, as JSON lines, and returns their number. Each holds
 * the rules' judgement, the evidence of both, and in its reason what the model says.
 */
export async function writeDisagreements(rows: string, file: string): Promise<number> {
  const result = { kind: 'jsonl', inputs: [rows] } as const;
  if (rows.endsWith('.parquet')) {
    return await writeNamedResult(file, result, (temporary) =>
      withDuckDB(async ({ run, source }) => {
        const counted = await run(
          `COPY (SELECT * FROM read_parquet(${source(rows)}) WHERE contains(reason, ${sqlText(disagreementMark)}))
           TO ${sqlText(temporary)} (FORMAT json)`,
        );
        return Number(counted[0]?.[0] ?? 0);
      }),
    );
  }
  return await writeNamedResult(file, result, async (temporary) => {
    const out = openLog(temporary);
    let count = 0;
    try {
      const lines = createInterface({
        input: createReadStream(rows, { fd: openRegular(rows).descriptor, start: 0 }),
        crlfDelay: Number.POSITIVE_INFINITY,
      });
      for await (const line of lines) {
        // Parsing a million rows to find a few takes longer than looking for the words first.
        if (!line.includes(disagreementMark)) continue;
        if (!(JSON.parse(line) as FindingRow).reason?.includes(disagreementMark)) continue;
        count++;
        writeAll(out, `${line}\n`);
      }
    } finally {
      closeSync(out);
    }
    return count;
  });
}

function fromFlags(findings: FindingSet, flags: LlmFlags): LlmExtractor {
  const { server, gguf, model, concurrency, requestTimeout, retries, proxy } = flags;
  return createLlmExtractor({
    findings,
    ...(server !== undefined && { url: server }),
    ...(gguf !== undefined && { gguf }),
    ...(proxy !== undefined && { proxy }),
    ...(model !== undefined && { model }),
    ...(flags.prompt !== undefined && { prompt: readPrompt(flags.prompt) }),
    ...(concurrency !== undefined && { concurrency }),
    ...(requestTimeout !== undefined && { timeout: requestTimeout * 1000 }),
    ...(retries !== undefined && { retries }),
  });
}

function readPrompt(file: string): string {
  try {
    return readRegular(file).toString('utf8');
  } catch (cause) {
    throw new PenumbraError('usage/llm-prompt', `The prompt ${file} cannot be read.`, {
      hint: 'Give a text file; {{findings}}, {{keys}} and {{noFinding}} in it are filled in.',
      where: { file },
      cause,
    });
  }
}

function priceOf(text: string): { prompt: number; completion: number } {
  const [prompt, completion, ...rest] = text
    .split(',')
    .map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (!(prompt! >= 0 && completion! >= 0 && rest.length === 0)) {
    throw new PenumbraError('usage/llm-price', `"${text}" is no price.`, {
      hint: 'Give two numbers, read and written, per million tokens: 0.15,0.60',
    });
  }
  return { prompt: prompt!, completion: completion! };
}
