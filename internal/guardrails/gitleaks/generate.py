#!/usr/bin/env python3
"""Writes rules.json from the rules file of gitleaks: generate.py gitleaks.toml > rules.json

The file is config/gitleaks.toml of the Go module github.com/zricethezav/gitleaks/v8 at the version in README.md, which
`go mod download` fetches.

gitleaks looks a whole file through for a rule's keywords and then runs its expression over it. SutazAI must decide about
a stream piece by piece, so each rule is made to begin at its keyword: the expression is matched at the place where the
keyword stands, or at a fixed number of bytes before it. What that changes is listed here, and nothing else is.
"""
import json
import re
import sys
import tomllib

VERSION = "v8.30.1"
OPTIONAL = r"[\w.-]{0,50}?"  # the rest of a name in front of a keyword; read by hand where an allow list looks at it

# Rules that cannot begin at a keyword.
LEFT_OUT = {
    "facebook-access-token": "its keyword may stand anywhere",
    "curl-auth-header": "replaced by authorization-header, which needs no command line around it",
}

# Rules whose keyword is not at the beginning: other keywords, other expressions, or bytes before the keyword.
CHANGED = {
    "airtable-personnal-access-token": {"keywords": ["pat"]},
    "azure-ad-client-secret": {
        "regex": r"""([a-zA-Z0-9_~.]{3}\dQ~[a-zA-Z0-9_~.-]{31,34})(?:$|[\\'"\x60\s<),])""",
        "back": 4, "before": "\\'\"` \t\n\v\f\r>=:(,)",
    },
    "cloudflare-origin-ca-key": {"keywords": ["v1.0-"]},
    "curl-auth-user": {
        # The command may go on over lines, but not forever.
        "replace": (r"(?:.*|.*(?:[\r\n]{1,2}.*){1,5})", r"[^\r\n]{0,120}?(?:[\r\n]{1,2}[^\r\n]{0,80}?){0,3}"),
    },
    "gocardless-api-token": {"keywords": ["gocardless"]},
    "hashicorp-tf-api-token": {"back": 15},
    "intra42-client-secret": {"keywords": ["s-s4t2ud-", "s-s4t2af-"]},
    "jwt-base64": {"whole": True},
    "lob-api-key": {"keywords": ["lob"]},
    "lob-pub-api-key": {"keywords": ["lob"]},
    "maxmind-license-key": {"back": 36},
    "microsoft-teams-webhook": {"cut": r"https://[a-z0-9]+\.", "keywords": ["webhook.office.com"], "whole": True},
    "new-relic-browser-api-token": {"keywords": ["new-relic", "newrelic", "new_relic"]},
    "new-relic-insert-key": {"keywords": ["new-relic", "newrelic", "new_relic"]},
    "new-relic-user-api-key": {"keywords": ["new-relic", "newrelic", "new_relic"]},
    "openai-api-key": {"keywords": ["sk-"]},
    "sidekiq-sensitive-url": {"cut": r"(?i)\bhttps?://", "back": 18},
    "slack-webhook-url": {"cut": r"(?:https?://)?"},
    "sourcegraph-access-token": {"keywords": ["sgp_"], "replace": ("|[a-fA-F0-9]{40})", ")")},
    "typeform-api-token": {"keywords": ["typeform"]},
}

# SutazAI's own rules, in the same form.
ADDED = [
    {
        "id": "authorization-header",
        "regex": r"""(?i)authorization["'\x60]?[ \t]{0,5}[:=][ \t]{0,5}["'\x60]?(?:basic[ \t]{1,3}([a-z0-9+/]{8,}={0,3})|(?:bearer|token)[ \t]{1,3}([\w=~@.+/-]{8,}))""",
        "keywords": ["authorization"],
        "entropy": 2.75,
    },
    {
        # The part of a connection string between : and @; gitleaks has rules for single vendors only.
        "id": "database-url-password",
        "regex": r"""(?i)(?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?|mssql)://[^\s:@/'"\x60]{0,64}:([^\s@/'"\x60$<{%]{4,128})@""",
        "keywords": ["postgres://", "postgresql://", "mysql://", "mariadb://", "mongodb://", "mongodb+srv://",
                     "redis://", "rediss://", "amqp://", "amqps://", "mssql://"],
    },
    {
        "id": "azure-storage-account-key",
        "regex": r"AccountKey=([A-Za-z0-9+/]{86}==)",
        "keywords": ["accountkey="],
    },
    {"id": "anthropic-oauth-token", "regex": r"\b(sk-ant-o[ar]t01-[\w-]{80,120})", "keywords": ["sk-ant-o"], "entropy": 3},
    {"id": "deepseek-api-key", "regex": r"\b(sk-[0-9a-f]{32})\b", "keywords": ["sk-"], "entropy": 3},
    {"id": "groq-api-key", "regex": r"\b(gsk_[A-Za-z0-9]{52})\b", "keywords": ["gsk_"], "entropy": 3},
    {"id": "openrouter-api-key", "regex": r"\b(sk-or-v1-[0-9a-f]{64})\b", "keywords": ["sk-or-"], "entropy": 3},
    {"id": "sutazai-api-key", "regex": r"\b(sk-sutazai-[\w-]{30,60})", "keywords": ["sk-sutazai-"], "entropy": 3},
    {"id": "xai-api-key", "regex": r"\b(xai-[A-Za-z0-9]{80})\b", "keywords": ["xai-"], "entropy": 3},
]


def rule(source):
    name = source["id"]
    change = CHANGED.get(name, {})
    regex = change.get("regex", source["regex"])
    if "replace" in change:
        old, new = change["replace"]
        if old not in regex:
            sys.exit(f"{name}: {old} is not in its expression any more")
        regex = regex.replace(old, new)
    if "cut" in change:
        if not regex.startswith(change["cut"]):
            sys.exit(f"{name}: it does not begin with {change['cut']} any more")
        regex = regex.removeprefix(change["cut"])
        if change["cut"].startswith("(?i)"):
            regex = "(?i)" + regex
    regex = regex.replace(OPTIONAL, "")
    out = {"id": name, "keywords": change.get("keywords", source["keywords"])}
    boundary = re.match(r"(\(\?i\))?\\b", regex)
    if boundary:
        regex = (boundary.group(1) or "") + regex[boundary.end():]
        out["word"] = True
    if change.get("whole"):
        regex = re.sub(r"\(\?P<\w+>", "(?:", regex)
        regex = re.sub(r"(?<!\\)\((?!\?)", "(?:", regex)
    out["regex"] = regex
    for key in ("back", "before"):
        if key in change:
            out[key] = change[key]
    if source.get("secretGroup"):
        out["group"] = source["secretGroup"]
    if source.get("entropy"):
        out["entropy"] = source["entropy"]
    allow = [allowed(a) for a in source.get("allowlists", []) if usable(a)]
    if allow:
        out["allow"] = allow
    return out


def usable(allow):
    """An allow list that needs a path can never apply to a text that has none."""
    return allow.get("condition", "OR") != "AND" and (allow.get("regexes") or allow.get("stopwords"))


def allowed(allow):
    out = {}
    if allow.get("regexes"):
        out["regexes"] = allow["regexes"]
        if allow.get("regexTarget"):
            out["target"] = allow["regexTarget"]
    if allow.get("stopwords"):
        out["stopwords"] = sorted({w.lower() for w in allow["stopwords"]})
    return out


def main():
    with open(sys.argv[1], "rb") as f:
        config = tomllib.load(f)
    rules = [r for r in config["rules"] if "regex" in r and "path" not in r and r["id"] not in LEFT_OUT]
    missing = CHANGED.keys() - {r["id"] for r in rules}
    if missing:
        sys.exit(f"not in the rules any more: {missing}")
    json.dump(
        {
            "version": VERSION,
            "allow": [allowed(config["allowlist"])],
            "rules": sorted(map(rule, rules + ADDED), key=lambda r: r["id"]),
        },
        sys.stdout, indent=1, ensure_ascii=False, sort_keys=True,
    )
    print()


main()
