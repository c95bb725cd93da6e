/**
 * The process that holds a GGUF model: a crash of the native code ends this process and not the extraction. It is
 * started by local.ts, speaks local-protocol.ts over its channel, and ends with it.
 */
import type { LlamaChatSession, LlamaModel } from 'node-llama-cpp';
import type { FromModel, ToModel } from './local-protocol.ts';

type Load = Extract<ToModel, { type: 'load' }>;
type Complete = Extract<ToModel, { type: 'complete' }>;

/** Room for the marks of the chat template. */
const templateTokens = 128;
/** An answer that has fewer tokens left than this is not begun. */
const leastAnswer = 64;
const defaultContext = 8192;

/** Answers one request on one of the context's sequences. */
type Slot = (request: Complete, signal: AbortSignal) => Promise<FromModel>;

const idle: Slot[] = [];
const waiting: Complete[] = [];
const underWay = new Map<number, AbortController>();

process.on('disconnect', () => process.exit(0));
process.on('message', (message: ToModel) => {
  if (message.type === 'load') void load(message);
  else if (message.type === 'complete') {
    waiting.push(message);
    next();
  } else {
    underWay.get(message.id)?.abort();
    const place = waiting.findIndex((request) => request.id === message.id);
    if (place >= 0) {
      waiting.splice(place, 1);
      say({ type: 'failed', id: message.id, kind: 'crashed', detail: 'cancelled' });
    }
  }
});

function say(message: FromModel): void {
  process.send!(message);
}

async function load(options: Load): Promise<void> {
  let llama: typeof import('node-llama-cpp');
  try {
    llama = await import('node-llama-cpp');
  } catch (error) {
    say({
      type: 'unusable',
      what: 'package',
      detail: String((error as NodeJS.ErrnoException).code ?? 'import'),
    });
    return;
  }
  try {
    const engine = await llama.getLlama({
      gpu: options.gpu ? 'auto' : false,
      // Never fetch sources or compile: what is not installed is not used.
      build: 'never',
      skipDownload: true,
      progressLogs: false,
      logLevel: llama.LlamaLogLevel.disabled,
      maxThreads: options.threads,
    });
    const model = await engine.loadModel({ modelPath: options.gguf });
    const context = await model.createContext({
      sequences: options.sequences,
      contextSize: options.contextSize ?? Math.min(defaultContext, model.trainContextSize),
      threads: options.threads,
    });
    // The converter takes the schema as data; its types describe literals.
    const grammar = await engine.createGrammarForJsonSchema(forGrammar(options.schema) as never);
    const settings = { qwen: { thoughts: options.thinking ? 'auto' : 'discourage' } } as const;
    for (let i = 0; i < options.sequences; i++) {
      const sequence = context.getSequence();
      const session = new llama.LlamaChatSession({
        contextSequence: sequence,
        chatWrapper: llama.resolveChatWrapper(model, { customWrapperSettings: settings }),
        autoDisposeSequence: false,
      });
      idle.push((request, signal) =>
        answer(session, model, context.contextSize, grammar, options.thinking, request, signal),
      );
    }
    say({ type: 'ready' });
    next();
  } catch (error) {
    // A message about the file or the machine: no report has been seen yet.
    say({ type: 'unusable', what: 'model', detail: (error as Error).message.split('\n')[0]!.slice(0, 300) });
  }
}

function next(): void {
  while (idle.length > 0 && waiting.length > 0) {
    const slot = idle.pop()!;
    const request = waiting.shift()!;
    const controller = new AbortController();
    underWay.set(request.id, controller);
    void slot(request, controller.signal)
      // The message may quote the text; only its kind goes back.
      .catch(
        (error: unknown): FromModel => ({
          type: 'failed',
          id: request.id,
          kind: 'crashed',
          detail: controller.signal.aborted ? 'cancelled' : error instanceof Error ? error.name : 'unknown',
        }),
      )
      .then((reply) => {
        underWay.delete(request.id);
        idle.push(slot);
        say(reply);
        next();
      });
  }
}

async function answer(
  session: LlamaChatSession,
  model: LlamaModel,
  contextSize: number,
  grammar: import('node-llama-cpp').LlamaGrammar,
  thinking: boolean,
  request: Complete,
  signal: AbortSignal,
): Promise<FromModel> {
  const { id, system, user } = request;
  // Without this check the library would drop the beginning of the text when the context is full.
  const used = model.tokenize(system).length + model.tokenize(user).length + templateTokens;
  const room = contextSize - used;
  if (room < leastAnswer) {
    return {
      type: 'failed',
      id,
      kind: 'too-long',
      detail: `${used} tokens do not fit into a context of ${contextSize}`,
    };
  }
  session.setChatHistory([{ type: 'system', text: system }]);
  const meter = session.sequence.tokenMeter.getState();
  const { responseText, stopReason } = await session.promptWithMeta(user, {
    grammar,
    temperature: request.temperature,
    seed: request.seed,
    maxTokens: Math.min(request.maxTokens, room),
    signal,
    ...(!thinking && { budgets: { thoughtTokens: 0 } }),
  });
  const tokens = session.sequence.tokenMeter.diff(meter);
  return {
    type: 'done',
    id,
    text: responseText,
    cutOff: stopReason === 'maxTokens',
    promptTokens: tokens.usedInputTokens,
    completionTokens: tokens.usedOutputTokens,
  };
}

/** The grammar's converter knows `oneOf` and not `anyOf`; here they mean the same, as `null` is no object. */
function forGrammar(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(forGrammar);
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key === 'anyOf' ? 'oneOf' : key, forGrammar(value)]),
  );
}
