"""The ``Dynamo`` port over boto3, for tests that want an engine but not our wire client."""

import asyncio
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError, HTTPClientError

from dualwrite.core.errors import OutcomeUnknown, Refused, Unreachable


class BotoDynamo:
    """Each call goes out once, from a thread. No binary values: boto3 would decode them."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        return await asyncio.to_thread(self._send, operation, dict(request))

    def _send(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = self._client._make_api_call(operation, request)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status >= 500:
                raise OutcomeUnknown(str(error)) from error
            details = error.response["Error"]
            fields = {
                name: value
                for name, value in error.response.items()
                if name not in ("Error", "ResponseMetadata")
            }
            raise Refused(details["Code"], details.get("Message", ""), status, fields) from error
        except EndpointConnectionError as error:
            raise Unreachable(str(error)) from error
        except HTTPClientError as error:
            raise OutcomeUnknown(str(error)) from error
        answer.pop("ResponseMetadata", None)
        return answer
