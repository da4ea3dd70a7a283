// What the package exports, one report a door: `npm run api` writes them, `npm run api -- --check` fails where they are not up to date.
import { fileURLToPath } from 'node:url';
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor';

const doors = { imodel: 'src/index', schemas: 'schemas/index', actors: 'actors/index', testing: 'src/testing/index' };
const root = fileURLToPath(new URL('..', import.meta.url));
const isCheck = process.argv.includes('--check');
const silent = { default: { logLevel: 'none' } };

const stale = [];
for (const [name, entry] of Object.entries(doors)) {
  const config = ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: `${root}package.json`,
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: `${root}dist/${entry}.d.ts`,
      compiler: {
        overrideTsconfig: {
          compilerOptions: {
            target: 'es2023',
            lib: ['es2023', 'esnext.disposable'],
            module: 'nodenext',
            types: ['node'],
          },
          include: [`${root}dist/${entry}.d.ts`],
        },
      },
      apiReport: {
        enabled: true,
        reportFileName: `${name}.api.md`,
        reportFolder: `${root}etc`,
        reportTempFolder: `${root}dist/etc`,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        compilerMessageReporting: { default: { logLevel: 'error' } },
        extractorMessageReporting: silent,
        tsdocMessageReporting: silent,
      },
    },
  });
  const { apiReportChanged, errorCount } = Extractor.invoke(config, {
    localBuild: !isCheck,
    messageCallback: (message) => {
      message.handled = message.logLevel !== 'error';
    },
  });
  if (errorCount > 0 || (isCheck && apiReportChanged)) stale.push(`etc/${name}.api.md`);
}
if (stale.length > 0) {
  console.error(
    `${stale.join(', ')}: not what the package exports now. Run \`npm run api\` and look at the difference.`,
  );
  process.exit(1);
}
