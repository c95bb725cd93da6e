import { Command } from 'commander';
import { describe, expect, test, vi } from 'vitest';
import {
  addPartOptions,
  addReportOptions,
  endWithReport,
  openReport,
  partSettings,
  prevalence,
  textOptions,
} from './report-end.ts';

const flagsOf = (...words: string[]) => {
  const command = addPartOptions(
    addReportOptions(new Command().exitOverride().configureOutput({ writeErr() {} })),
  );
  return command.parse(words, { from: 'user' }).opts();
};

describe('flags of a report', () => {
  test('a prevalence is one share, or one for each finding', () => {
    expect(prevalence('0.1')).toBe(0.1);
    expect(prevalence('edema=0.02, a=b=0.5')).toEqual({ edema: 0.02, 'a=b': 0.5 });
    for (const wrong of ['0', '1', '-0.1', 'x', 'edema=', 'edema=2', ''])
      expect(() => flagsOf('--prevalence', wrong)).toThrow();
  });

  test('they become settings of parts, and nothing where nothing is asked', () => {
    expect(partSettings(flagsOf())).toEqual({});
    expect(partSettings(flagsOf('--no-images'))).toEqual({ images: false });
    expect(partSettings(flagsOf('--prevalence', '0.1'))).toEqual({
      operating: { prevalence: 0.1 },
      decision: { prevalence: 0.1 },
    });
  });

  test('quiet is the verdict and the path of the report', () => {
    expect(textOptions({ quiet: true }).what).toBe('verdict');
    expect(textOptions({}).what).toBe('all');
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    endWithReport('So.\n', { result: 'r.json', report: 'a.html' }, { quiet: true });
    endWithReport('So.\n', { result: 'r.json', report: 'a.html' }, {});
    const told = write.mock.calls.map(([text]) => text);
    write.mockRestore();
    expect(told).toEqual(['So.\n\nreport: a.html\n', 'So.\n\nresult: r.json\nreport: a.html\n']);
  });

  test('without a browser it says where the report lies', async () => {
    const before = process.env.BROWSER;
    process.env.BROWSER = '/nowhere/browser';
    const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    try {
      openReport('a.html');
      await vi.waitFor(() => expect(write).toHaveBeenCalled());
      expect(String(write.mock.calls[0]![0])).toMatch(/no browser could be started .*a\.html yourself/);
    } finally {
      write.mockRestore();
      if (before === undefined) delete process.env.BROWSER;
      else process.env.BROWSER = before;
    }
  });
});
