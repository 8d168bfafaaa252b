"""A mail server that answers as each recipient's address asks, and prints what it took, a line of JSON for each.

rcpt-CODE-X.Y.Z@…  CODE X.Y.Z at RCPT          data-CODE-X.Y.Z@…  the same after the text
late-SECONDS@…     takes the text, and says so after so many seconds
Arguments: smtputf8 or plain. plain offers neither SMTPUTF8 nor 8BITMIME.
"""
import asyncio
import json
import sys

from aiosmtpd.smtp import SMTP


def tell(**line):
    print(json.dumps(line), flush=True)


def asked(address, stage):
    word, code, enhanced = (address.split("@")[0].split("-") + ["", "", ""])[:3]
    return f"{code} {enhanced} as asked" if word == stage else None


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        refusal = asked(address, "rcpt")
        if refusal:
            tell(refused=address)
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        to = envelope.rcpt_tos[0]
        refusal = asked(to, "data")
        if refusal:
            tell(refused=to)
            return refusal
        text = envelope.content if isinstance(envelope.content, bytes) else envelope.content.encode("utf-8", "surrogateescape")
        tell(to=to, sender=envelope.mail_from, options=envelope.mail_options, text=text.decode("utf-8", "replace"), ascii=text.isascii())
        if to.startswith("late-"):
            await asyncio.sleep(float(to.split("@")[0].split("-")[1]))
        return "250 OK"


async def main():
    utf8 = sys.argv[1] == "smtputf8"
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(Handler(), enable_SMTPUTF8=utf8, decode_data=not utf8, hostname="mail.test"), "127.0.0.1", 0)
    tell(port=server.sockets[0].getsockname()[1])
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # it ends with its test


asyncio.run(main())
