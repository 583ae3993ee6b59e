"""The key of AWS Signature Version 4, for those who sign and for those who verify."""

import hmac

SERVICE = "dynamodb"
"""Both of DynamoDB's APIs sign under this name, the streams too."""


def signing_key(secret: str, day: str, region: str) -> bytes:
    """The key of one day ("20260131") and Region."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, SERVICE, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
