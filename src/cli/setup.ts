import type { Command } from 'commander';

export function register(program: Command): void {
  program
    .command('setup')
    .summary('find or fetch LibTorch and build the engine, once')
    .description(
      'Finds or fetches LibTorch and builds the engine for it. Every verb does this by itself where it is not done yet; this ' +
        'one does nothing else, for a package that was just installed. PENUMBRA_LIBTORCH=FOLDER names a LibTorch of yours.',
    )
    .action(async () => {
      // The launcher has completed the set-up before it came here.
      const { engineInfo } = await import('../torch/index.ts');
      const { version, path } = engineInfo();
      process.stdout.write(`Penumbra is set up. LibTorch ${version}, ${path}\n`);
    });
}
