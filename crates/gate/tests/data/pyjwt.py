"""Makes pyjwt.json: tokens of another library, PyJWT 2.15.1 with cryptography 48, whose private keys
are thrown away. To make it anew: pip install pyjwt cryptography && python3 pyjwt.py > pyjwt.json"""

import json

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

CLAIMS = {
    "iss": "https://id.example.com",
    "aud": ["https://api.example.com", "https://other.example.com"],
    "sub": "user-17",
    "iat": 1_899_999_990,
    "nbf": 1_899_999_990,
    "exp": 1_900_003_600,
    "scope": "orders:read orders:write",
    "app_metadata": {"tenant_id": "tenant-1"},
}
SECRET = "a secret that is shared with the issuer of the tokens"
PRIVATE = {
    "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def public(name, key):
    jwk = jwt.get_algorithm_by_name(name).to_jwk(key.public_key(), as_dict=True)
    return {**jwk, "kid": f"pyjwt-{name}", "use": "sig", "alg": name}


tokens = {name: jwt.encode(CLAIMS, key, name, headers={"kid": f"pyjwt-{name}"}) for name, key in PRIVATE.items()}
tokens["HS256"] = jwt.encode(CLAIMS, SECRET, "HS256")
keys = [public(name, key) for name, key in PRIVATE.items()]
print(json.dumps({"secret": SECRET, "jwks": {"keys": keys}, "tokens": tokens}, indent=2))
