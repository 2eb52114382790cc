import {
  InvalidInput,
  parseAccountId,
  parseDataset,
  parseDestination,
  parseKmsKeyArn,
  parseModellingRun,
  parseTableName,
} from '../../src/dump/inputs';

const roleArn = 'arn:aws:iam::111122223333:role/dreamdata-data-platform';
const settings = { roleArn, bucket: 'acme-dreamdata' };
const nowMs = Date.parse('2023-01-02T15:04:05Z');
const run = { runId: 'run-42', finishedAt: '2023-01-02T15:00:00Z', dataset: 'acme-prod.data_platform' };

/** What is said to whoever gave the value: one short line, without anything that could disturb a terminal or a log. */
function refusal(parse: () => unknown): string {
  const error = thrownBy(parse);
  expect(error).toBeInstanceOf(InvalidInput);
  const message = error instanceof Error ? error.message : '';
  expect(message).toMatch(/^[A-Za-z][^\p{Cc}]{0,400}\.$/u);
  return message;
}

function thrownBy(parse: () => unknown): unknown {
  try {
    return { taken: parse() };
  } catch (error) {
    return error;
  }
}

describe('settings', () => {
  test('are completed with the default tables and with the account of the role as owner of the bucket', () => {
    expect(parseDestination(settings)).toEqual({
      roleArn,
      bucket: 'acme-dreamdata',
      bucketOwner: '111122223333',
      tables: ['companies', 'contacts', 'events', 'revenue', 'revenue_attribution', 'paid_ads'],
    });
  });

  test('are kept as they are given where they are given', () => {
    const given = {
      roleArn: 'arn:aws:iam::111122223333:role/exports/dreamdata-data-platform',
      bucket: 'acme.dreamdata',
      bucketOwner: '444455556666',
      path: "exports/dreamdata (acme's)",
      tables: ['companies', 'Großkunden 2023'],
    };
    expect(parseDestination(given)).toEqual(given);
  });

  test('take an empty path for none', () => {
    expect(parseDestination({ ...settings, path: '' })).toEqual(parseDestination(settings));
  });

  test.each([null, 'text', ['list'], undefined])('that are %j are refused', (value) => {
    expect(refusal(() => parseDestination(value))).toBe('The settings must be an object.');
  });
});

describe('a role ARN is refused', () => {
  test.each([
    ['nothing', undefined, 'The role ARN is missing.'],
    ['a name', 'dreamdata-data-platform', 'is malformed'],
    ['a user', 'arn:aws:iam::111122223333:user/dreamdata', 'is malformed'],
    ['an assumed role', 'arn:aws:sts::111122223333:assumed-role/dreamdata/session', 'is malformed'],
    ['an account of eleven digits', 'arn:aws:iam::11112222333:role/dreamdata', 'is malformed'],
    ['a wildcard', 'arn:aws:iam::111122223333:role/*', 'is malformed'],
    ['a space after it', `${roleArn} `, 'is malformed'],
    ['a line break after it', `${roleArn}\n`, 'is malformed'],
  ])('that is %s', (_what, value, why) => {
    const message = refusal(() => parseDestination({ ...settings, roleArn: value }));
    expect(message).toContain(why);
    expect(message).toMatch(/role ARN/i);
  });
});

describe('a bucket is refused', () => {
  test.each([
    ['missing', undefined, 'The bucket is missing.'],
    ['not text', 42, 'The bucket must be text.'],
    ['an ARN', 'arn:aws:s3:::acme-dreamdata', "is an ARN: give the bucket's name"],
    ['an address', 's3://acme-dreamdata', 'is not a bucket name'],
    ['a name with a path', 'acme-dreamdata/exports', 'is not a bucket name'],
    ['a name with capitals', 'Acme-Dreamdata', 'is not a bucket name'],
    ['a name with two dots in a row', 'acme..dreamdata', 'is not a bucket name'],
    ['an IP address', '192.168.0.1', 'is not a bucket name'],
    ['too short', 'ab', 'is not a bucket name'],
    ['too long', 'a'.repeat(64), 'is not a bucket name'],
    ['a wildcard', 'acme-*', 'is not a bucket name'],
  ])('that is %s', (_what, bucket, why) => {
    expect(refusal(() => parseDestination({ ...settings, bucket }))).toContain(why);
  });
});

test.each(['12345678901', '1234567890123', '1111-2222-3333', ''])(
  "'%s' is refused as owner of a bucket",
  (bucketOwner) => {
    expect(refusal(() => parseDestination({ ...settings, bucketOwner }))).toMatch(/bucket owner/i);
  },
);

describe('a path is refused', () => {
  test.each([
    ['a part that leads upwards', 'exports/../other', "has a part that is '.' or '..'"],
    ['a part that leads nowhere', './exports', "has a part that is '.' or '..'"],
    ['an empty part', 'exports//dreamdata', "has an empty part ('//')"],
    ['a slash before it', '/exports', 'begins or ends with a slash'],
    ['a slash after it', 'exports/', 'begins or ends with a slash'],
    ['a line break', 'exports\ndreamdata', 'has a character that may not be in it'],
    ['a null character', 'exports\u0000', 'has a character that may not be in it'],
    ['a backslash', 'exports\\dreamdata', 'has a character that may not be in it'],
    ["a policy's wildcard", 'exports/*', 'has a character that may not be in it'],
    ["a policy's wildcard for one character", 'exports/?', 'has a character that may not be in it'],
    ["a policy's variable", 'exports/${aws:username}', 'has a character that may not be in it'],
    ['a letter that URLs encode', 'exports/ä', 'has a character that may not be in it'],
    ['too many characters', 'p'.repeat(201), 'is longer than 200 characters'],
  ])('with %s', (_what, path, why) => {
    expect(refusal(() => parseDestination({ ...settings, path }))).toContain(why);
  });

  test('that is not text', () => {
    expect(refusal(() => parseDestination({ ...settings, path: ['exports'] }))).toBe('The path must be text.');
  });
});

describe('tables are refused', () => {
  test.each([
    ['with a dataset', 'data_platform.companies'],
    ['with a slash', 'companies/all'],
    ['with a snapshot decorator', 'companies@-3600'],
    ['with a partition decorator', 'companies$20230102'],
    ['with a wildcard', 'events_*'],
    ['with a backtick', '`companies`'],
    ['with a tab', 'com\tpanies'],
    ['with 201 bytes', 't'.repeat(201)],
    ['with 201 bytes in fewer characters', `t${'ä'.repeat(100)}`],
  ])('%s', (_what, name) => {
    expect(refusal(() => parseDestination({ ...settings, tables: ['companies', name] }))).toContain(
      'is not a BigQuery table name',
    );
  });

  test.each([
    ['of the name of the schemas folder', ['schemas'], "Table 'schemas' cannot be delivered"],
    ['named twice', ['companies', 'events', 'companies'], "Table 'companies' is named twice."],
    ['of which there is none', [], 'The list of tables is empty'],
    ['that are not a list', 'companies', 'Tables must be a list'],
    ['of which one is empty', ['companies', ''], 'The table is missing.'],
    ['of which one is a number', [7], 'The table must be text.'],
  ])('%s', (_what, tables, why) => {
    expect(refusal(() => parseDestination({ ...settings, tables }))).toContain(why);
  });
});

test('table names that BigQuery takes are taken', () => {
  for (const name of ['paid_ads', 'ga4-events', 'Großkunden 2023', '会社', 't'.repeat(200), 'ä'.repeat(100)]) {
    expect(parseTableName(name)).toBe(name);
  }
});

describe('a modelling run', () => {
  test('is taken with its instant in UTC', () => {
    expect(parseModellingRun({ ...run, finishedAt: '2023-01-02T16:00:00.123456+01:00' }, nowMs)).toEqual({
      ...run,
      finishedAt: '2023-01-02T15:00:00.123Z',
    });
  });

  test('may come from a clock that is a little ahead', () => {
    expect(parseModellingRun({ ...run, finishedAt: '2023-01-02T15:10:00Z' }, nowMs).finishedAt).toBe(
      '2023-01-02T15:10:00.000Z',
    );
  });

  test.each([
    ['that is nothing', undefined, 'The modelling run must be an object.'],
    ['that is a list', [run], 'The modelling run must be an object.'],
    ['without a run id', { ...run, runId: undefined }, 'The run id is missing.'],
    ['whose run id is a number', { ...run, runId: 42 }, 'The run id must be text.'],
    ['whose run id has a line break', { ...run, runId: 'run\n42' }, 'cannot be taken'],
    ['whose run id is too long', { ...run, runId: 'r'.repeat(201) }, 'cannot be taken'],
    ['without an instant', { ...run, finishedAt: undefined }, 'The finishedAt is missing.'],
    ['whose instant is a number', { ...run, finishedAt: nowMs }, 'The finishedAt must be text.'],
    ['whose instant is a date only', { ...run, finishedAt: '2023-01-02' }, 'is not an RFC 3339 instant'],
    ['whose instant has no time zone', { ...run, finishedAt: '2023-01-02T15:00:00' }, 'is not an RFC 3339 instant'],
    ['whose instant is of a 13th month', { ...run, finishedAt: '2023-13-02T15:00:00Z' }, 'is not an RFC 3339 instant'],
    ['that finishes tomorrow', { ...run, finishedAt: '2023-01-03T15:00:00Z' }, 'lies in the future'],
    ['without a dataset', { ...run, dataset: '' }, 'The dataset is missing.'],
    ['whose dataset has no project', { ...run, dataset: 'data_platform' }, 'is not of the form project.dataset'],
    ['whose dataset names a table too', { ...run, dataset: 'acme-prod.data.companies' }, 'is not of the form'],
  ])('%s is refused', (_what, value, why) => {
    expect(refusal(() => parseModellingRun(value, nowMs))).toContain(why);
  });
});

test("a dataset's project may have a domain", () => {
  expect(parseDataset('example.com:acme-prod.data_platform')).toBe('example.com:acme-prod.data_platform');
});

test.each(['', 'a', 'a'.repeat(48), 'acc/other', 'acc 7', 'acc_7Hq2/2023-01-02T15:04', 'açc', '../acc'])(
  "'%s' is refused as account id: it is part of workflow ids and an external id",
  (account) => {
    expect(refusal(() => parseAccountId(account))).toMatch(/account/i);
  },
);

test.each(['1234abcd', 'arn:aws:kms:eu-west-1:111122223333:key/*', 'arn:aws:s3:::acme'])(
  "'%s' is refused as ARN of a KMS key",
  (arn) => {
    expect(refusal(() => parseKmsKeyArn(arn))).toContain('is malformed');
  },
);

test('the ARN of an alias is refused, as no policy can name it: the key itself is asked for', () => {
  expect(refusal(() => parseKmsKeyArn('arn:aws:kms:eu-west-1:111122223333:alias/exports'))).toContain(
    "is an alias's, which no policy can name as a resource: give the key's own ARN",
  );
});

test.each(['1234abcd', 'arn:aws:kms:europe:111122223333:key/1', 'arn:aws:kms:eu-west-1:1111:key/1'])(
  "'%s' is refused as the key of a destination",
  (kmsKeyArn) => {
    expect(refusal(() => parseDestination({ ...settings, kmsKeyArn }))).toContain('is malformed');
  },
);

test('a destination has a key only if one is given', () => {
  const kmsKeyArn = 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd';
  expect(parseDestination({ ...settings, kmsKeyArn })).toMatchObject({ kmsKeyArn });
  expect(parseDestination(settings)).not.toHaveProperty('kmsKeyArn');
});

test('a refusal shows what was given, shortened', () => {
  const message = refusal(() => parseDestination({ ...settings, bucket: `Acme "${'x'.repeat(5000)}` }));
  expect(message).toContain(`Bucket 'Acme "xxx`);
});

test('a day that does not exist is refused, not moved to the next month', () => {
  expect(() => parseModellingRun({ ...run, finishedAt: '2022-02-30T00:00:00Z' }, nowMs)).toThrow(InvalidInput);
});

test('what is quoted cannot steer a terminal', () => {
  expect(refusal(() => parseDestination({ ...settings, path: 'a\u009b31mb\u007f' }))).not.toMatch(/[\u007f-\u009f]/);
});
