"""Receives one mail over STARTTLS with sign-in and prints what an independent reader finds in it, as JSON."""
import asyncio, email, json, ssl, sys
from email import policy
from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=policy.default)
        print(json.dumps({
            "encrypted": session.ssl is not None,
            "user": session.auth_data,
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": {name: str(value) for name, value in mail.items()},
            "date": mail["Date"].datetime.isoformat(),
            "type": mail.get_content_type(),
            "parts": {part.get_content_type(): part.get_content() for part in mail.iter_parts()},
            "defects": [repr(defect) for part in mail.walk() for defect in part.defects],
        }), flush=True)
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    fine = data.login == b"desk" and data.password == b"correct horse"
    # handled=False lets the server answer a refusal itself.
    return AuthResult(success=fine, handled=fine, auth_data=data.login.decode())


context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(sys.argv[1], sys.argv[2])


async def serve():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Handler(), tls_context=context, require_starttls=True, authenticator=authenticate,
                     auth_required=True, hostname="loopback", loop=loop),
        "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    # The one who started this closes its end when it has seen enough, also by dying.
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(serve())
