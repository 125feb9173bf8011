"""Signs in with nothing but what was generated from the schema: client.py ENDPOINT."""

import secrets
import sys

from generated.client import Keywheel
from generated.enums import ErrorCode, RevocationReason, TokenDelivery, TokenType
from generated.exceptions import GraphQLClientGraphQLMultiError
from generated.input_types import LoginInput, RefreshTokenInput, RegisterInput

EMAIL = "python@example.com"
PASSWORD = "correct horse battery staple"


def main(endpoint: str) -> None:
    nobody = Keywheel(endpoint)

    def bearing(token: str) -> Keywheel:
        return Keywheel(endpoint, headers={"Authorization": f"Bearer {token}"})

    registered = nobody.register(RegisterInput(email=EMAIL, password=PASSWORD)).register
    assert registered.auth and registered.auth.user.email == EMAIL

    # Optional inputs that are given as None go out as null, and mean the same as absent ones.
    login = nobody.login(
        LoginInput(identifier=EMAIL, password=PASSWORD, delivery=TokenDelivery.BODY, deviceName=None)
    ).login
    assert login.token_type == TokenType.BEARER
    me = bearing(login.access_token).me()
    assert me.me and me.me.id == login.user.id
    assert ErrorCode.UNAUTHENTICATED in me.settings.error_codes

    refresh = RefreshTokenInput(refreshToken=login.refresh_token, retryKey=secrets.token_urlsafe(16))
    first, again = nobody.refresh(refresh).refresh_token, nobody.refresh(refresh).refresh_token
    assert first.refresh_token == again.refresh_token, "the same call again gives the same successor"
    client = bearing(again.access_token)

    newest = client.my_sessions(first=1).me
    assert newest and newest.sessions.page_info.has_next_page and newest.sessions.edges[0].node.current
    rest = client.my_sessions(first=5, after=newest.sessions.page_info.end_cursor).me
    assert rest and len(rest.sessions.edges) == 1

    ended = client.revoke_others().revoke_sessions.sessions
    assert [session.revoked_reason for session in ended] == [RevocationReason.REVOKED_BY_USER]
    left = client.logout().logout.session
    assert left and (left.id, left.revoked_reason) == (login.session.id, RevocationReason.LOGOUT)

    try:
        client.me()
    except GraphQLClientGraphQLMultiError as refused:
        extensions = refused.errors[0].extensions
        assert extensions and (extensions["code"], extensions["reason"]) == ("UNAUTHENTICATED", "SESSION_REVOKED")
    else:
        raise AssertionError("still signed in")
    print("ok   a Python client signs in, refreshes, ends its sessions and signs out")


if __name__ == "__main__":
    main(*sys.argv[1:])
