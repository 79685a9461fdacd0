"""Record anew where botocore sends requests to: python tests/support/record_endpoints.py

Writes tests/unit/data/endpoints.json. Nothing goes over the network: a hook answers each request before it
is sent.
"""

from __future__ import annotations

import json
import re
from itertools import count
from pathlib import Path
from typing import Any

import botocore
import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import BotoCoreError

RECORDED = Path(__file__).parents[1] / "unit" / "data" / "endpoints.json"

KEY = "a key/\u00e9+~'()*"
ARN = "arn:aws:s3:us-west-2:123456789012:accesspoint/myap"
ARN_COLON = "arn:aws:s3:us-west-2:123456789012:accesspoint:myap"
LAMBDA = "arn:aws:s3-object-lambda:us-west-2:123456789012:accesspoint/mylap"
OUTPOST = "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01234567890123456/accesspoint/myap"
EXPRESS = "logs--usw2-az1--x-s3"
VPCE = "https://bucket.vpce-1a2b3c4d-5e6f.s3.us-west-2.vpce.amazonaws.com"
VPCE_AP = "https://accesspoint.vpce-1a2b3c4d-5e6f.s3.us-west-2.vpce.amazonaws.com"
STORE = "http://store.example:9000"
TLS_STORE = "https://store.example"

REGIONS = [
    *["us-east-1", "us-west-2", "eu-central-1", "ap-southeast-7", "mx-central-1", "il-central-1"],
    *["cn-north-1", "cn-northwest-1", "us-gov-east-1", "us-gov-west-1"],
    *["us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "us-isof-south-1", "eusc-de-east-1"],
]


def make_inputs() -> list[dict[str, Any]]:
    """Settings as of `s3po.endpoint.Endpoint`, a bucket and a key."""
    inputs: list[dict[str, Any]] = []

    def add(bucket: str | None = "photos", key: str | None = "k", **settings: Any) -> None:
        inputs.append({"settings": settings, "bucket": bucket, "key": key})

    for region in REGIONS:
        add(region=region)
        add("photos.2026", region=region)
        add(None, None, region=region)
    for region in ("us-east-1", "us-west-2", "cn-north-1", "us-gov-west-1", "us-isob-east-1"):
        add(region=region, use_dualstack=True)
        add(region=region, use_fips=True)
        add(region=region, use_fips=True, use_dualstack=True)
        add(region=region, use_accelerate=True)
        add(region=region, addressing_style="path")
        add(region=region, addressing_style="virtual")
        add(region=region, addressing_style="path", use_fips=True, use_dualstack=True)
    for bucket in (
        "Photos",
        "my_photos",
        "127.0.0.1",
        "ab",
        "a-",
        "photos.2026",
        "x" * 63,
        "y" * 64,
    ):
        add(bucket, region="us-west-2")
        add(bucket, region="us-west-2", addressing_style="virtual")
    for key in ("k", KEY, "a/../b", "//a", "a//b/", "%2e", "?x=y#z", "\U0001f600"):
        add("photos", key, region="us-west-2")
        add("photos", key, region="us-west-2", addressing_style="path")
    # Accelerate
    add(region="us-west-2", use_accelerate=True, use_dualstack=True)
    add(region="us-west-2", use_accelerate=True, use_fips=True)
    add(region="us-west-2", use_accelerate=True, addressing_style="virtual")
    add(region="us-west-2", use_accelerate=True, addressing_style="path")
    add("photos.2026", region="us-west-2", use_accelerate=True)
    add("Photos", region="us-west-2", use_accelerate=True)
    add("photos", None, region="us-west-2", use_accelerate=True)
    add(None, None, region="us-west-2", use_accelerate=True)
    # us-east-1 and the global host
    add(region="us-east-1", us_east_1_regional="legacy")
    add("photos.2026", region="us-east-1", us_east_1_regional="legacy")
    add(None, None, region="us-east-1", us_east_1_regional="legacy")
    add(region="us-west-2", us_east_1_regional="legacy")
    for flags in ("use_dualstack", "use_fips", "use_accelerate"):
        add(region="us-east-1", us_east_1_regional="legacy", **{flags: True})
        add(region="aws-global", **{flags: True})
    add(region="aws-global")
    add(region="aws-global", addressing_style="path")
    add(None, None, region="aws-global")
    add(region="aws-global", use_accelerate=True, use_dualstack=True)
    add(ARN, region="aws-global")
    add(region="fips-us-gov-west-1")
    add(region="us-gov-west-1-fips")
    add(region="aws-cn-global")
    # Access points
    for arn in (ARN, ARN_COLON):
        add(arn, region="us-west-2")
        add(arn, region="us-east-1")
    add(ARN, None, region="us-west-2")
    add(ARN, KEY, region="us-west-2")
    add(ARN, region="us-west-2", use_fips=True)
    add(ARN, region="us-west-2", use_dualstack=True)
    add(ARN, region="us-west-2", use_fips=True, use_dualstack=True)
    add(ARN, region="us-west-2", use_accelerate=True)
    add(ARN, region="us-west-2", addressing_style="virtual")
    add(ARN, region="us-west-2", addressing_style="path")
    add(ARN, region="cn-north-1")
    add(ARN.replace(":aws:", ":aws-cn:"), region="us-west-2")
    add(ARN.replace("aws:s3:us-west-2", "aws-cn:s3:cn-north-1"), region="cn-northwest-1")
    add(ARN.replace("aws:s3:us-west-2", "aws-us-gov:s3:us-gov-west-1"), region="us-gov-east-1")
    add(ARN.replace("aws:s3:us-west-2", "aws-us-gov:s3:us-gov-west-1"), region="us-east-1")
    add(ARN, region="us-west-2", endpoint_url=VPCE_AP, addressing_style="virtual")
    add(ARN, region="us-west-2", endpoint_url=TLS_STORE, addressing_style="virtual")
    add(ARN, region="us-west-2", endpoint_url=f"{TLS_STORE}/base")
    add("myap-abcdefghijklmnopqrstuvwxyz0123s3alias-s3alias", region="us-west-2")
    add("mylap-abcdefghijklmnopqrstuvwxyz0123--ol-s3", region="us-west-2")
    # Object Lambda
    add(LAMBDA, region="us-west-2")
    add(LAMBDA, region="us-east-1")
    add(LAMBDA.replace("accesspoint/", "accesspoint:"), region="us-west-2")
    add(LAMBDA, region="us-west-2", use_fips=True)
    add(LAMBDA, region="us-west-2", use_dualstack=True)
    add(LAMBDA, region="us-west-2", use_accelerate=True)
    add(LAMBDA, region="us-west-2", endpoint_url=TLS_STORE, addressing_style="virtual")
    # ARNs that are none or not supported
    for arn in (
        "arn:aws:s3:::photos",
        "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap",
        OUTPOST,
        OUTPOST.replace("/", ":"),
        "arn:aws:s3:us-west-2:123456789012:accesspoint/",
        "arn:aws:s3:us-west-2:123456789012:accesspoint/myap/object",
        "arn:aws:s3:us-west-2::accesspoint/myap",
        "arn:aws:s3:us-west-2:123456789012:bucket/photos",
        "arn:aws:sqs:us-west-2:123456789012:accesspoint/myap",
        "arn:aws:s3:us-west-2:123456789012:accesspoint/my.ap",
        "arn:aws:s3:us west:123456789012:accesspoint/myap",
    ):
        add(arn, region="us-west-2")
    add("mfzwi23gnjvgw.mrap", region="us-west-2")
    # Directory buckets
    add(EXPRESS, region="us-west-2")
    add(EXPRESS, None, region="us-west-2")
    add(EXPRESS, region="us-west-2", use_fips=True)
    add(EXPRESS, region="us-west-2", use_dualstack=True)
    add(EXPRESS, region="us-west-2", use_fips=True, use_dualstack=True)
    add(EXPRESS, region="us-west-2", use_accelerate=True)
    add(EXPRESS, region="us-west-2", addressing_style="path")
    for zone in ("use1-az4", "apne1-az4", "usw2-lax1-az1", "use1-atl2-az1"):
        add(f"logs--{zone}--x-s3", region="us-east-1")
        add(f"reader--{zone}--xa-s3", region="us-east-1")
    add("logs--x-s3", region="us-west-2")
    add("Logs--usw2-az1--x-s3", region="us-west-2")
    add(EXPRESS, region="us-west-2", endpoint_url=VPCE)
    # Other endpoints
    for url in (
        STORE,
        f"{STORE}/",
        TLS_STORE,
        f"{TLS_STORE}/base/v1",
        VPCE,
        "http://127.0.0.1:9000",
    ):
        add(region="us-west-2", endpoint_url=url)
        add("photos.2026", region="us-west-2", endpoint_url=url)
        add("photos", None, region="us-west-2", endpoint_url=url)
        add(None, None, region="us-west-2", endpoint_url=url)
    add(region="us-west-2", endpoint_url="http://[::1]:9000")
    add(region="us-west-2", endpoint_url=STORE, addressing_style="virtual")
    add("photos.2026", region="us-west-2", endpoint_url=STORE, addressing_style="virtual")
    add("photos.2026", region="us-west-2", endpoint_url=TLS_STORE, addressing_style="virtual")
    add("Photos", region="us-west-2", endpoint_url=STORE, addressing_style="virtual")
    add(region="us-west-2", endpoint_url=VPCE, addressing_style="virtual")
    add(region="us-west-2", endpoint_url="http://127.0.0.1:9000", addressing_style="virtual")
    for flags in ("use_dualstack", "use_fips", "use_accelerate"):
        add(region="us-west-2", endpoint_url=TLS_STORE, **{flags: True})
    # AWS by its own name
    add(region="us-west-2", endpoint_url="https://s3.us-west-2.amazonaws.com")
    add(region="us-west-2", endpoint_url="https://s3.amazonaws.com")
    add(region="us-west-2", endpoint_url="https://s3-accelerate.amazonaws.com")
    add("photos.2026", region="us-west-2", endpoint_url="http://s3.us-west-2.amazonaws.com")
    return inputs


SESSION = b"""<?xml version="1.0"?><CreateSessionResult><Credentials>
<AccessKeyId>AKIDSESSION</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></CreateSessionResult>"""


class _Raw:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def stream(self, **_: Any) -> Any:
        yield self.content

    def read(self, *_: Any) -> bytes:
        content, self.content = self.content, b""
        return content


def ask_botocore(settings: dict[str, Any], bucket: str | None, key: str | None) -> dict[str, Any]:
    """What botocore would send: the URL, and for which region and service it is signed; or an error."""
    options = dict(settings)
    s3: dict[str, Any] = {
        "us_east_1_regional_endpoint": options.pop("us_east_1_regional", "regional"),
        "use_accelerate_endpoint": options.pop("use_accelerate", False),
    }
    style = options.pop("addressing_style", "auto")
    if style != "auto":
        s3["addressing_style"] = style
    session = botocore.session.Session(profile=None)
    session.set_credentials("AKID", "secret")
    sent: list[Any] = []

    def answer(request: Any, **_: Any) -> AWSResponse:
        sent.append(request)
        is_session = request.url.endswith("?session")
        return AWSResponse(request.url, 200, {}, _Raw(SESSION if is_session else b""))

    try:
        client = session.create_client(
            "s3",
            region_name=options.pop("region", None),
            endpoint_url=options.pop("endpoint_url", None),
            config=Config(
                s3=s3,
                use_fips_endpoint=options.pop("use_fips", None),
                use_dualstack_endpoint=options.pop("use_dualstack", None),
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        assert not options, options
        client.meta.events.register_first("before-send.s3", answer)
        if bucket is None:
            client.list_buckets()
        elif key is None:
            client.head_bucket(Bucket=bucket)
        else:
            client.get_object(Bucket=bucket, Key=key)
    except (BotoCoreError, ValueError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    request = sent[-1]
    headers = {name.lower(): value for name, value in request.headers.items()}
    text = headers["authorization"]
    authorization = text.decode() if isinstance(text, bytes) else text
    scope = re.search(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/aws4_request", authorization)
    assert scope is not None, authorization
    return {
        "url": request.url.removesuffix("?x-id=GetObject").removesuffix("?x-id=ListBuckets"),
        "region": scope[1],
        "service": scope[2],
        "session": "x-amz-s3session-token" in headers,
    }


def name_of(entry: dict[str, Any]) -> str:
    """A name for the test: what is not as usual."""
    words = [value if isinstance(value, str) else name for name, value in entry["settings"].items()]
    bucket, key = entry["bucket"], entry["key"]
    return " ".join([*words, bucket or "-", key or "-"])


def main() -> None:
    cases = []
    names: set[str] = set()
    for entry in make_inputs():
        name = name_of(entry)
        for number in count(2):
            if name not in names:
                break
            name = f"{name_of(entry)} {number}"
        names.add(name)
        expected = ask_botocore(entry["settings"], entry["bucket"], entry["key"])
        cases.append({"name": name, **entry, "botocore": expected})
    recorded = {"botocore": botocore.__version__, "cases": cases}
    lines = ",\n".join(json.dumps(case) for case in recorded.pop("cases"))
    RECORDED.write_text(f'{{"botocore": "{botocore.__version__}", "cases": [\n{lines}\n]}}\n')
    print(f"{len(cases)} cases of botocore {botocore.__version__} in {RECORDED}")


if __name__ == "__main__":
    main()
