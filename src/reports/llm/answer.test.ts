import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cpuMilliseconds } from '../../../test/cpu.ts';
import { readAnswer } from './answer.ts';
import { levelNames } from './levels.ts';
import { answerSchema, withoutLimits } from './schema.ts';

const names = ['Edema', 'Pleural Effusion', 'maxLength'];
const schema = answerSchema(names);

const judgement = fc.option(
  fc.record({
    evidence: fc.array(fc.string({ maxLength: 40, unit: 'grapheme' }), { maxLength: 3 }),
    assertion: fc.constantFrom(...levelNames),
  }),
);
const answer = fc.record({ Edema: judgement, 'Pleural Effusion': judgement, maxLength: judgement });

describe('readAnswer', () => {
  test('reads every valid answer, bare or with prose, a fence or reasoning about it', () => {
    // Braces and quotes in prose are harmless as long as they are no objects of their own.
    const prose = fc.string({ maxLength: 30 }).map((text) => text.replace(/[{}]/g, ''));
    fc.assert(
      fc.property(answer, prose, prose, fc.boolean(), (value, before, after, thinks) => {
        const text = `${thinks ? `<think>${before} {"Edema": null}</think>` : before}\n${JSON.stringify(value)}\n${after}`;
        const read = readAnswer(text, schema, false);
        expect(read).toEqual(names.map((name) => ({ judgement: value[name as keyof typeof value] })));
      }),
    );
  });

  test('whatever the text, the result is a judgement or a problem per finding, or a Failure', () => {
    const pieces = fc.array(
      fc.constantFrom(
        '{',
        '}',
        '"Edema"',
        ':',
        'null',
        ',',
        '"',
        '\\',
        '[',
        ']',
        '<think>',
        '</think>',
        ' ',
        '0',
        '{"Edema":null}',
      ),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(
        fc.oneof(
          pieces.map((p) => p.join('')),
          fc.string(),
          fc.json(),
        ),
        fc.boolean(),
        (text, cutOff) => {
          try {
            const read = readAnswer(text, schema, cutOff);
            expect(read.length).toBe(names.length);
            for (const entry of read) expect('judgement' in entry || 'problem' in entry).toBe(true);
          } catch (error) {
            expect((error as Error).name).toBe('Failure');
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test('of several objects the one with the fewest problems counts', () => {
    const text =
      'For example {"Edema": null}. So: {"Edema": null, "Pleural Effusion": null, "maxLength": null} and {}';
    expect(readAnswer(text, schema, false)).toEqual(names.map(() => ({ judgement: null })));
  });

  test('an answer of a hundred thousand braces takes no time', () => {
    const spent = cpuMilliseconds(() => {
      for (const piece of ['{', '{}', '{"', '}']) {
        expect(() => readAnswer(piece.repeat(100_000), schema, false)).toThrow(
          expect.objectContaining({ name: 'Failure' }),
        );
      }
    });
    expect(spent).toBeLessThan(2000);
  });

  test('keys of prototypes are no findings', () => {
    const odd = answerSchema(['constructor', 'toString']);
    expect(() => readAnswer('{"x": 1}', odd, false)).toThrow(/left out/);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    expect(() => answerSchema(['__proto__'])).toThrow(expect.objectContaining({ code: 'reports/findings' }));
    expect(() => answerSchema([])).toThrow(expect.objectContaining({ code: 'reports/findings' }));
  });
});

describe('the schema', () => {
  test('is the same for the decoder and for the check', () => {
    expect(schema.json).toMatchObject({
      type: 'object',
      required: names,
      additionalProperties: false,
      properties: {
        Edema: {
          anyOf: [
            {
              type: 'object',
              required: ['evidence', 'assertion'],
              additionalProperties: false,
              properties: {
                evidence: { type: 'array', maxItems: 3, items: { type: 'string', maxLength: 240 } },
                assertion: { type: 'string', enum: levelNames },
              },
            },
            { type: 'null' },
          ],
        },
      },
    });
    expect(Object.keys(schema.json.properties as object)).toEqual(names);
    const limitless = JSON.stringify(withoutLimits(schema.json));
    expect(limitless).not.toMatch(/"max(Items|Length)":\d/);
    // A finding may have the name of a keyword.
    expect(limitless).toContain('"maxLength":{"anyOf"');
  });

  test('counts code points, and undecodable bytes not at all', () => {
    const check = (text: string): boolean =>
      'judgement' in schema.check({ evidence: [text], assertion: 'absent' });
    expect(check('x'.repeat(240))).toBe(true);
    expect(check('x'.repeat(241))).toBe(false);
    expect(check('😀'.repeat(240))).toBe(true);
    expect(check('😀'.repeat(241))).toBe(false);
    expect(check(`${'\ufffd'.repeat(400)}${'x'.repeat(240)}`)).toBe(true);
  });
});
