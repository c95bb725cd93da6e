import { type Command, Option } from 'commander';
import type { BuildOptions } from '../reports/index.ts';
import { list } from './values.ts';

/** How images and their reports become a data set: flags of every verb that builds one. */
export interface BuildFlags {
  views?: string[];
  root?: string;
  silent: 'keep' | 'drop';
  errors?: string;
  imageColumn?: string;
  reportColumn?: string;
  patientColumn?: string;
  splitColumn?: string;
  val: number;
  test: number;
}

/** @param test the share for testing where nothing else is said */
export function addBuildOptions(command: Command, test: number): Command {
  return command
    .option(
      '--views <names>',
      'only images of these views: frontal, lateral, or PA,AP as the table has them',
      list,
    )
    .addOption(
      new Option(
        '--silent <what>',
        'images whose report speaks of no finding, so that nothing about them is known',
      )
        .choices(['keep', 'drop'])
        .default('keep'),
    )
    .option(
      '--errors <figures>',
      'how often labels are wrong, kept for objectives that correct for it (forward, gls:rates=data): the --json of reports score or audit, or falsePositive=0.02,miss=0.05,hedged=0',
    )
    .option('--root <folder>', "what the images' paths are relative to (default: their table's folder)")
    .option('--image-column <name>', 'tables of images: the image')
    .option(
      '--report-column <name>',
      'tables of images: the id of the report, or ids of several readings: r1|r2|r3',
    )
    .option('--patient-column <name>', 'tables of images: the patient')
    .option('--split-column <name>', 'tables of images: train, val or test')
    .option('--val <share>', 'share of the patients for validation, where there are no splits', Number, 0.1)
    .option('--test <share>', 'share of the patients for testing', Number, test);
}

/** What the flags say, but for the errors, which need the findings. */
export function buildOptions(
  flags: BuildFlags,
): Pick<BuildOptions, 'views' | 'root' | 'silent' | 'columns' | 'val' | 'test'> {
  const { views, root, silent, imageColumn, reportColumn, patientColumn, splitColumn, val, test } = flags;
  return {
    ...(views !== undefined && { views }),
    ...(root !== undefined && { root }),
    silent,
    columns: {
      ...(imageColumn !== undefined && { image: imageColumn }),
      ...(reportColumn !== undefined && { report: reportColumn }),
      ...(patientColumn !== undefined && { patient: patientColumn }),
      ...(splitColumn !== undefined && { split: splitColumn }),
    },
    val,
    test,
  };
}
