"""Settings of one partner that exchanges files: where, how to log in, and which interfaces there are."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from connectors.contract import Misconfigured
from connectors.file_exchange.patterns import NamePattern

__all__ = ["Ack", "FileExchangeConfig", "InInterface", "OutInterface", "Ready"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Ready(_Part):
    """How to know that the sender has finished a file.

    immediate  at once: the sender writes under another name and renames
    trigger    when NAME + `suffix` is there (`.end`, `.fin`, `.trg`, ...); `replaces_extension`: NAME.csv -> NAME.end
    stable     when size and time stay the same over `polls` looks, `every` seconds apart (brittle: a stalled sender
               looks finished)
    trailer    when the layout's trailer record is there and agrees
    """

    rule: Literal["immediate", "trigger", "stable", "trailer"] = "immediate"
    suffix: str = ".end"
    replaces_extension: bool = False
    polls: Annotated[int, Field(ge=2)] = 2
    every: Annotated[float, Field(ge=0)] = 2.0


class Ack(_Part):
    """The answer to a file.

    ok_ng       NAME + `ok` or NAME + `ng`, the latter with the reason in it
    result_csv  NAME without its ending + `suffix`: a CSV in `layout`, one row per row that was refused
    every       how long to wait before looking for a partner's answer again
    """

    kind: Literal["ok_ng", "result_csv"]
    folder: str
    ok: str = ".ok"
    ng: str = ".ng"
    suffix: str = "_result.csv"
    layout: str = "file_results"
    every: timedelta = timedelta(minutes=10)


class _Interface(_Part):
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]
    folder: str
    pattern: str
    layout: str
    ack: Ack | None = None

    @field_validator("pattern")
    @classmethod
    def _readable(cls, value: str) -> str:
        NamePattern(value)
        return value

    @property
    def names(self) -> NamePattern:
        return NamePattern(self.pattern)


class InInterface(_Interface):
    """Files the partner leaves for us.

    processing, done, held, error   folders a file goes through, below `folder` if not said otherwise
    changed   a name that was taken in before comes with other content: hold it for a person, reject it, or replace
    sequence  running numbers in names must have no gap: numbered anew each day, or without end
    gap       what a gap means: wait for the missing file, take the next one and say so, or nothing
    empty     an empty file means that there is no data today, or that the sender's job failed
    snapshot  each file is a complete listing: what is not in it is gone
    """

    direction: Literal["in"] = "in"
    ready: Ready = Ready()
    processing: str | None = None
    done: str | None = None
    held: str | None = None
    error: str | None = None
    changed: Literal["hold", "reject", "replace"] = "hold"
    sequence: Literal["none", "daily", "running"] = "none"
    gap: Literal["wait", "alert", "ignore"] = "alert"
    empty: Literal["no_data", "error"] = "no_data"
    snapshot: bool = False

    @model_validator(mode="after")
    def _numbered(self) -> Self:
        if self.sequence != "none" and not self.names.has("seq"):
            raise ValueError(f"interface {self.name}: a sequence guard needs {{seq:03d}} in the pattern")
        if self.sequence == "daily" and not self.names.has("date"):
            raise ValueError(f"interface {self.name}: a daily sequence needs {{date:%Y%m%d}} in the pattern")
        return self

    def place(self, which: Literal["processing", "done", "held", "error"]) -> str:
        """The folder, as set or below the interface's own."""
        return getattr(self, which) or f"{self.folder.rstrip('/')}/{which}"


class OutInterface(_Interface):
    """Files we leave for the partner.

    sent     folder for our notes of what was sent: they make a repeated delivery find the file it already wrote.
             It must be on the file system of `folder`, because files are made ready there and renamed into place
    trigger  an empty file NAME + suffix is put there after the file
    sequence running number per day or without end; per day when left out and the pattern has a date
    """

    direction: Literal["out"]
    sent: str | None = None
    trigger: str | None = None
    trigger_replaces_extension: bool = False
    sequence: Literal["daily", "running"] | None = None

    @model_validator(mode="after")
    def _writable(self) -> Self:
        if "*" in self.pattern:
            raise ValueError(f"interface {self.name}: a file that is written needs a name without *")
        return self

    @property
    def sent_folder(self) -> str:
        return self.sent or f"{self.folder.rstrip('/')}/sent"

    @property
    def numbered_daily(self) -> bool:
        return self.sequence == "daily" or (self.sequence is None and self.names.has("date"))


InterfaceT = TypeVar("InterfaceT", InInterface, OutInterface)
Interface = Annotated[InInterface | OutInterface, Field(discriminator="direction")]


class FileExchangeConfig(BaseModel):
    """One partner: a folder of this machine or an SFTP account, and its interfaces.

    A secret never stands in the system file: `password`, `private_key` and `passphrase` come from the connection.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: Literal["local", "sftp"] = "local"
    root: str = Field(
        ".", title="Folder the interfaces' folders start at", json_schema_extra={"title_ja": "基準フォルダ"}
    )
    host: str | None = Field(None, json_schema_extra={"title_ja": "ホスト"})
    port: int = Field(22, json_schema_extra={"title_ja": "ポート"})
    user: str | None = Field(None, json_schema_extra={"connection": "login", "title_ja": "ユーザー"})
    password: SecretStr | None = Field(None, json_schema_extra={"title_ja": "パスワード"})
    private_key: SecretStr | None = Field(None, json_schema_extra={"title_ja": "秘密鍵"})
    passphrase: SecretStr | None = Field(None, json_schema_extra={"title_ja": "秘密鍵のパスフレーズ"})
    host_keys: tuple[str, ...] = Field((), json_schema_extra={"title_ja": "ホスト鍵（交替中は2本）"})
    """"ssh-ed25519 AAAA..." as ssh-keyscan prints it; two during an announced change."""

    connect_timeout: timedelta = timedelta(seconds=15)
    timeout: timedelta = timedelta(seconds=60)
    prefetch: Annotated[int, Field(ge=0, le=1024)] = 64
    """Requests under way at once; 0 for servers that stop answering when there are several."""
    confirm: bool = True
    """Compare the size after writing; off where the partner takes files away at once."""
    replace: Literal["delete_first", "refuse"] = "refuse"
    """What to do on servers without posix-rename when a file must be replaced."""
    spool: Path | None = None
    """Where downloads wait; the machine's temporary folder when left out."""

    layouts: tuple[Path, ...] = ()
    """Folders with own layouts; they come before the shipped ones."""
    replacements: Path | None = None
    """This partner's table of characters, over the shipped one: from,to,when,note."""
    gaiji: Path | None = None
    """This partner's private characters in files we read: from,to."""

    interfaces: Annotated[tuple[Interface, ...], Field(min_length=1)]

    @field_validator("interfaces", mode="before")
    @classmethod
    def _in_by_default(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [{"direction": "in", **item} if isinstance(item, dict) else item for item in value]
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.protocol == "sftp" and not (self.host and self.user):
            raise ValueError("sftp needs a host and a user")
        names = [interface.name for interface in self.interfaces]
        if len(set(names)) != len(names):
            raise ValueError("two interfaces have the same name")
        return self

    def incoming(self, params: Any) -> InInterface:
        """The interface a flow's `params: {interface: NAME}` means. Raises Misconfigured."""
        return self._chosen(params, InInterface)

    def outgoing(self, params: Any) -> OutInterface:
        """The same for files we write."""
        return self._chosen(params, OutInterface)

    def _chosen(self, params: Any, kind: type[InterfaceT]) -> InterfaceT:
        fitting = {item.name: item for item in self.interfaces if isinstance(item, kind)}
        wanted = (params or {}).get("interface")
        if wanted is None and len(fitting) == 1:
            return next(iter(fitting.values()))
        if wanted not in fitting:
            direction = "in" if kind is InInterface else "out"
            known = ", ".join(sorted(fitting)) or "none"
            raise Misconfigured(
                f"no interface {wanted!r} with direction {direction}; known: {known}. "
                "Say it in the flow: params: {interface: NAME}"
            )
        return fitting[wanted]
