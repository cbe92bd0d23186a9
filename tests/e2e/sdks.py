"""Client libraries in Python, as a program would use them: one call each, and what the program is told.

Reads JSON from standard input: {url, calls: [{sdk, key, retries, header}]}. Writes a list of
{error, status, message, retries} or {value}, in the same order.
"""

import asyncio
import json
import sys

import anthropic
import httpx2
import openai
import stripe
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


def use_openai(url, key, retries):
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=retries)
    answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    return answer.choices[0].message.content


def use_anthropic(url, key, retries):
    client = anthropic.Anthropic(base_url=url, api_key=key, max_retries=retries)
    answer = client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
    return answer.content[0].text


def use_stripe(url, key, retries):
    client = stripe.StripeClient(key, base_addresses={"api": url}, max_network_retries=retries)
    return client.v1.customers.retrieve("cus_1").id


def use_mcp(url, key, retries):
    async def call():
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as http:
            async with Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client:
                result = await client.call_tool("greet", {})
                return result.content[0].text

    return asyncio.run(call())


USE = {"openai": use_openai, "anthropic": use_anthropic, "stripe": use_stripe, "mcp": use_mcp}


def innermost(error):
    """Of a group of one, as task groups raise it, that one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def tell(url, sdk, key, retries):
    try:
        return {"value": USE[sdk](url, key, retries)}
    except Exception as raised:
        error = innermost(raised)
        status = getattr(error, "status_code", None) or getattr(error, "http_status", None)
        return {"error": type(error).__name__, "status": status, "message": str(error)}


order = json.load(sys.stdin)
json.dump([tell(order["url"], **call) for call in order["calls"]], sys.stdout)
