import type { PolicyDocument } from '../policies';
import { abortAfterDays, abortRuleId, dumpsPrefix, expireRuleId } from './lifecycle';
import { rolePolicies, roleTrust, type CustomerSetUp } from './set-up';

/** The customer's role, the bucket's lifecycle and, unless it exists, the bucket, as the `main.tf` of a module. */
export const terraformModule = (setUp: CustomerSetUp): string =>
  [preamble, role(setUp), setUp.bucketExists ? existingBucket : bucket(setUp), lifecycle(setUp), outputs(setUp)].join(
    '\n\n',
  );

type Value = string | number | boolean | readonly Value[] | { readonly [key: string]: Value };

/**
 * A value as an expression of HCL. Strings of JSON are strings of HCL (its escapes are among HCL's) but for `${` and
 * `%{`, which begin a template and are doubled. DEL and the two line separators stay as they are in both.
 */
export function hclValue(value: Value, indent = ''): string {
  if (typeof value === 'string') return hclString(value);
  if (typeof value !== 'object') return String(value);
  const deeper = `${indent}  `;
  const lines = isList(value)
    ? value.map((item) => `${deeper}${hclValue(item, deeper)},`)
    : Object.entries(value).map(([key, item]) => `${deeper}${hclString(key)} = ${hclValue(item, deeper)}`);
  const [open, close] = isList(value) ? '[]' : '{}';
  return lines.length === 0 ? `${open}${close}` : [open, ...lines, `${indent}${close}`].join('\n');
}

const isList = (value: Value): value is readonly Value[] => Array.isArray(value);

/** HCL knows neither `\b` nor `\f`. */
const hclString = (text: string): string =>
  JSON.stringify(text)
    .replace(/\\(.)/g, (escape, letter) => ({ b: '\\u0008', f: '\\u000c' })[letter as string] ?? escape)
    .replace(/([$%]+)\{/g, (_, signs: string) => `${doubled(signs)}{`);

/** Only the sign right before the brace begins a template; those before it are text. */
const doubled = (signs: string): string => signs + (signs.at(-1) ?? '');

const policy = (document: PolicyDocument): string =>
  `jsonencode(${hclValue(JSON.parse(JSON.stringify(document)) as Value, '  ')})`;

const preamble = `# Lets the data platform write dumps of its tables into an S3 bucket of this account.

terraform {
  required_version = ">= 1.3"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 4.0"
    }
  }
}`;

const role = (setUp: CustomerSetUp): string =>
  [
    `resource "aws_iam_role" "dreamdata" {
  name               = ${hclValue(setUp.roleName)}
  assume_role_policy = ${policy(roleTrust(setUp))}
}`,
    ...rolePolicies(setUp).map(
      ([name, document]) => `resource "aws_iam_role_policy" ${hclValue(name)} {
  name   = ${hclValue(name)}
  role   = aws_iam_role.dreamdata.id
  policy = ${policy(document)}
}`,
    ),
  ].join('\n\n');

const existingBucket = `# The bucket exists. The next resource replaces ALL lifecycle rules that it has: move those to keep into it.`;

const bucket = ({ bucket: name, kmsKeyArn }: CustomerSetUp): string => `resource "aws_s3_bucket" "dumps" {
  bucket = ${hclValue(name)}
}

resource "aws_s3_bucket_public_access_block" "dumps" {
  bucket                  = aws_s3_bucket.dumps.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "dumps" {
  bucket = aws_s3_bucket.dumps.id

  rule {
    bucket_key_enabled = ${hclValue(kmsKeyArn !== undefined)}

    apply_server_side_encryption_by_default {
      ${encryption(kmsKeyArn)}
    }
  }
}`;

const encryption = (kmsKeyArn: string | undefined): string =>
  kmsKeyArn === undefined
    ? 'sse_algorithm = "AES256"'
    : `sse_algorithm     = "aws:kms"\n      kms_master_key_id = ${hclValue(kmsKeyArn)}`;

const lifecycle = ({
  bucket: name,
  bucketExists,
  path,
  expireDays,
}: CustomerSetUp): string => `resource "aws_s3_bucket_lifecycle_configuration" "dumps" {
  bucket = ${bucketExists ? hclValue(name) : 'aws_s3_bucket.dumps.id'}

  rule {
    id     = ${hclValue(expireRuleId)}
    status = "Enabled"

    filter {
      prefix = ${hclValue(dumpsPrefix(path))}
    }

    expiration {
      days = ${hclValue(expireDays)}
    }
  }

  rule {
    id     = ${hclValue(abortRuleId)}
    status = "Enabled"

    filter {
      prefix = ${hclValue(dumpsPrefix(path))}
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = ${hclValue(abortAfterDays)}
    }
  }
}`;

const outputs = ({ bucket: name }: CustomerSetUp): string => `# Give both to the vendor.
output "role_arn" {
  value = aws_iam_role.dreamdata.arn
}

output "bucket_name" {
  value = ${hclValue(name)}
}`;
