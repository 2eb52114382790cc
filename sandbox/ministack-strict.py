"""Starts ministack with the checks of AWS that it leaves out, each by ministack's own evaluator of policies.

Wraps functions of one version: another one is refused, as what is wrapped may have gone or changed its meaning.
"""
import base64
import contextvars
import hashlib
import hmac
import importlib.metadata
import json
import re
import sys

VERSION = "1.5.33"
found = importlib.metadata.version("ministack")
if found != VERSION:
    sys.exit(f"The sandbox's checks are written for ministack {VERSION}, this is {found}: install that version.")

from ministack.app import extract_access_key_id, main
from ministack.core import iam_actions, iam_evaluator, responses
from ministack.services import iam, kms, s3, sts

asked = contextvars.ContextVar("asked")
plain_dispatch, plain_put, plain_sts = s3._dispatch, s3._put_object, sts.handle_request
plain_combine, plain_condition = iam_evaluator.combine_resource_policy, iam_evaluator._resolve_condition_key
plain_put_context = iam_actions._s3_object_context

CHAINED_SECONDS_MAX = 3600
SSE, SSE_KEY = "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"


def denied(action, service, region, resource, keys=None):
    """The refusal of AWS, or None where role, session and resource policies allow."""
    result = iam_evaluator.enforce(extract_access_key_id(*asked.get()), action, service, region, resource, keys)
    if result is None:
        return None
    kind = "a resource-based policy" if result.resource_policy_arn else "an identity-based policy"
    reason = (
        f"with an explicit deny in {kind}"
        if result.decision == "Deny"
        else f"because no {kind.split(' ', 1)[1]} allows the {action} action"
    )
    message = f"User: {result.principal_arn} is not authorized to perform: {action} on resource: {resource} {reason}"
    return s3._error("AccessDenied", message, 403)


def combine(identity, ctx, *rest, **limits):
    """Remembers that it was the resource's policy that did not allow, where the identity's did."""
    result = plain_combine(identity, ctx, *rest, **limits)
    if identity.decision == "Allow" and result.decision != "Allow":
        result.resource_policy_arn = ctx.resource_arn
    return result


def condition(key, ctx):
    """aws:PrincipalArn of a session is its role's, without which no statement could exempt a role."""
    if key.lower() != "aws:principalarn" or ctx.principal_type != "AssumedRole":
        return plain_condition(key, ctx)
    name = iam_evaluator._role_name_from_assumed_arn(ctx.principal_arn)
    return iam._roles.get_scoped(ctx.principal_account, None, name)["Arn"]


def put_context(action, query, path, headers):
    named = {f"s3:{SSE_KEY}": headers[SSE_KEY]} if action == "s3:PutObject" and headers.get(SSE_KEY) else {}
    return {**plain_put_context(action, query, path, headers), **named}


def dispatch(method, bucket, key, headers, body, query):
    expected = headers.get("x-amz-expected-bucket-owner")
    owner = s3._bucket_owner_account(bucket) if bucket else None
    if expected and owner and expected != owner:
        return s3._error("AccessDenied", "Access Denied", 403)
    token = asked.set((headers, query))
    try:
        return plain_dispatch(method, bucket, key, headers, body, query)
    finally:
        asked.reset(token)


def put_object(bucket, key, body, headers):
    if s3._ensure_bucket(bucket) is None or asked.get(None) is None:
        return plain_put(bucket, key, body, headers)
    refusal = None
    if headers.get("x-amz-acl"):
        keys = put_context("s3:PutObject", {}, f"/{bucket}/{key}", headers)
        refusal = denied("s3:PutObjectAcl", "s3", responses.get_region(), f"arn:aws:s3:::{bucket}/{key}", keys)
    refusal = refusal or key_refusal(bucket, headers) or lock_refusal(bucket, headers)
    return refusal or plain_put(bucket, key, body, headers)


def lock_refusal(bucket, headers):
    lock = s3._bucket_object_lock.get(bucket)
    if not lock or not lock.get("default_retention"):
        return None
    if any(name == "content-md5" or name.startswith("x-amz-checksum-") for name in headers):
        return None
    return s3._error(
        "InvalidRequest",
        "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters",
        400,
    )


def key_refusal(bucket, headers):
    encryption = headers if headers.get(SSE) else s3._bucket_default_sse_headers(bucket)
    name = encryption.get(SSE_KEY)
    if encryption.get(SSE) != "aws:kms" or not name:
        return None
    named = re.fullmatch(r"arn:aws:kms:([^:]+):(\d{12}):.+", name)
    region, account = named.groups() if named else (s3.bucket_region(bucket), responses.get_account_id())
    if region != s3.bucket_region(bucket):
        return s3._error("KMS.NotFoundException", f"Invalid arn {region}", 400)
    with responses.request_scope(account, region):
        record = kms._resolve_key(name)
        if record is None:
            return s3._error("KMS.NotFoundException", f"Key '{name}' does not exist", 400)
        refusal = denied("kms:GenerateDataKey", "kms", region, record["Arn"])
        if refusal:
            return refusal
        if record["KeyState"] == "Disabled":
            return s3._error("KMS.DisabledException", f"{record['Arn']} is disabled.", 400)
        if record["KeyState"] != "Enabled":
            state = re.sub("(?<!^)([A-Z])", r" \1", record["KeyState"]).lower()
            return s3._error("KMS.KMSInvalidStateException", f"{record['Arn']} is {state}.", 400)
        return None


async def sts_request(method, path, headers, body, query):
    params = {**query, **sts.parse_qs(body.decode("utf-8", errors="replace"))}
    if sts._p(params, "Action") == "AssumeRole" and int(sts._p(params, "DurationSeconds") or 0) > CHAINED_SECONDS_MAX:
        caller = sts._caller_identity(headers, query)
        if isinstance(caller, dict) and ":assumed-role/" in caller["userArn"]:
            return sts._error(
                400,
                "ValidationError",
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
                ns="sts",
            )
    return await plain_sts(method, path, headers, body, query)


s3._dispatch, s3._put_object, sts.handle_request = dispatch, put_object, sts_request
iam_evaluator.combine_resource_policy, iam_evaluator._resolve_condition_key = combine, condition
iam_actions._s3_object_context = put_context

# Data keys: policies may ask for the encryption context, a changed one is refused, and so is one of another key.
plain_request_context, plain_wrap, plain_encrypt, plain_decrypt = (
    iam_actions.request_tag_context,
    kms._generate_data_key_common,
    kms._encrypt,
    kms._decrypt,
)
KEY_ID_BYTES, SEAL_BYTES = 36, 32


def request_context(service, action, body, params):
    context = plain_request_context(service, action, body, params)
    named = json.loads(body or b"{}").get("EncryptionContext") or {} if service == "kms" else {}
    return {**context, **{f"kms:EncryptionContext:{name}": value for name, value in named.items()}}


def sealed(record, ciphertext):
    return ciphertext + hmac.digest(record["_symmetric_key"], ciphertext, hashlib.sha256)


def wrap(data, action="GenerateDataKey"):
    record, key, wrapped = plain_wrap(data, action)
    return record, key, sealed(record, wrapped) if record else wrapped


def encrypt(data):
    status, headers, body = plain_encrypt(data)
    if status != 200:
        return status, headers, body
    answer = json.loads(body)
    ciphertext = sealed(kms._resolve_key(data["KeyId"]), base64.b64decode(answer["CiphertextBlob"]))
    return responses.json_response({**answer, "CiphertextBlob": base64.b64encode(ciphertext).decode()})


def decrypt(data):
    given = base64.b64decode(data["CiphertextBlob"])
    ciphertext = given[:-SEAL_BYTES]
    wrapped_by = kms._resolve_key(ciphertext[:KEY_ID_BYTES].decode(errors="ignore"))
    named = kms._resolve_key(data.get("KeyId"))
    if data.get("KeyId") and named is None:
        return responses.error_response_json("NotFoundException", f"Key '{data['KeyId']}' does not exist")
    if named and wrapped_by and named is not wrapped_by:
        message = "The key ID in the request does not identify a CMK that can perform this operation."
        return responses.error_response_json("IncorrectKeyException", message)
    if wrapped_by and not hmac.compare_digest(sealed(wrapped_by, ciphertext), given):
        return responses.error_response_json("InvalidCiphertextException", "")
    return plain_decrypt({**data, "CiphertextBlob": base64.b64encode(ciphertext).decode()})


iam_actions.request_tag_context = request_context
kms._generate_data_key_common, kms._encrypt, kms._decrypt = wrap, encrypt, decrypt
sys.exit(main())
