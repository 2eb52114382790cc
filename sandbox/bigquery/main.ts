/** `node lib/sandbox/bigquery/main.js --port 9050 --storage-url http://127.0.0.1:4443 --database FILE` */
import { parseArgs } from 'node:util';
import { serveBigQuery } from './server';

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '9050' },
      'storage-url': { type: 'string', default: 'http://127.0.0.1:4443' },
      database: { type: 'string', default: ':memory:' },
      'shard-rows': { type: 'string', default: '2500' },
      'delay-ms': { type: 'string', default: '300' },
    },
  });
  const { port } = await serveBigQuery({
    port: Number(values.port),
    storageUrl: values['storage-url'],
    databaseFile: values.database,
    shardRows: Number(values['shard-rows']),
    delayMs: Number(values['delay-ms']),
  });
  console.log(`BigQuery sandbox on http://127.0.0.1:${port}`);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
