"""Everything before an agent starts: its workspace set up, its brief laid out, its program made ready (SPEC 3.5)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from chargehand.adapters.agent_run import AgentHome, AgentRun, as_stream, furnish, how
from chargehand.adapters.attempt_ground import PATCH_BYTES, Ground, Ready, Site
from chargehand.adapters.confined import Call
from chargehand.adapters.folders import Room, write_below
from chargehand.adapters.output import Redactor
from chargehand.adapters.process import EndKind, Running
from chargehand.adapters.secret_formats import without_secrets
from chargehand.adapters.setup import SetupCall
from chargehand.domain.errors import AdapterError, UserError
from chargehand.domain.outcome import LOOKERS
from chargehand.ports import Agent, Launch, Places

__all__ = ["Preparation", "set_up"]


async def set_up(ground: Ground, site: Site, log_name: str, attend: Callable[[Running], Awaitable[None]]) -> str:
    """Run `setup` in a workspace, if there is one; what went wrong with it, or an empty string."""
    spec, parts = ground.spec, ground.parts
    if spec.setup is None:
        return ""
    log = ground.files / log_name
    call = Call(
        argv=(),
        env=parts.environment.of_setup(spec, site.room, site.port_base),
        workspace=site.workspace.path,
        room=site.room,
        stdout=log,
        wall_s=parts.setup_wall_s,
        marker=ground.marker,
        attend=attend,
        vault=ground.redactor.vault,
    )
    asked = SetupCall(spec=spec.setup, env=spec.env, workspace=site.workspace, call=call)
    end = (await parts.setup.prepare(asked)).end
    if end is None or (end.kind is EndKind.EXITED and end.code == 0):
        return ""
    await asyncio.to_thread(ground.redactor.file, log)
    text = end.detail or f"It ended with {how(end)}."
    return f"setup could not prepare the workspace. {text}\n{ground.end_of(log, 1_000)}".strip()


_CUT = (
    b"\n\n[Cut here: the patch is longer than what is shown. Files after this point are not in it; look at them in the "
    b"current directory.]\n"
)


class Preparation:
    """Makes one attempt ready; what it finds on the way goes to its ground."""

    def __init__(self, ground: Ground, agent: Agent) -> None:
        self._ground = ground
        self._agent = agent

    async def run(self, site: Site) -> Ready | str:
        """Set the workspace up and lay everything ready; a text says why there is nothing to start."""
        ground, room = self._ground, site.room
        problem = await set_up(ground, site, "setup.log", ground.tell)
        if problem:
            return problem
        for path, text in ground.spec.inputs:
            try:
                write_below(site.workspace.path, path, text)
            except AdapterError as error:
                ground.warnings.append(error.message)
        places = Places(
            workspace=site.workspace.path,
            home=room.home,
            tmp=room.tmp,
            scratch=room.scratch,
            brief=room.given / "brief.md",
            result=room.out / "result.json",
            previous=await self._previous(room),
            diff=await self._diff(room),
            port_base=site.port_base,
        )
        places = await self._meter(places, room)
        places = await self._guard(places, room)
        brief = ground.spec.brief
        places.brief.write_text(brief, "utf-8", errors="replace")
        (ground.files / "brief.md").write_text(ground.redactor.text(brief), "utf-8", errors="replace")
        try:
            ready = self._launched(places)
        except (UserError, AdapterError) as error:
            return error.message
        for file in room.given.iterdir():
            file.chmod(0o444)
        room.given.chmod(0o555)
        return ready

    def _launched(self, places: Places) -> Ready:
        """Everything the agent is started with; `UserError` when something is missing."""
        spec, parts, agent = self._ground.spec, self._ground.parts, self._agent
        launch = agent.launch(spec, places)
        furnish(places.home, launch, agent, parts.homes.get(spec.agent, AgentHome()))
        keys = parts.environment.keys(launch.keys)
        for name in launch.keys.keys() - keys.keys():
            text = f"The variable {launch.keys[name]}, which holds the key of agent {agent.name}, is not set."
            raise UserError(text, code="no_key")
        token = places.meter.token if places.meter is not None else ""
        self._ground.redactor = Redactor(parts.environment.vault(spec.env, (*keys.values(), token)))
        return Ready(places=places, launch=launch, env={**launch.env, **keys}, run=self._heard(launch))

    async def _guard(self, places: Places, room: Room) -> Places:
        """Judge the tool calls of an agent whose program can be made to ask before each of them; else listen to it."""
        ground, stream = self._ground, as_stream(self._agent)
        form, place_of = stream.capabilities.hook if stream is not None else "", ground.parts.place_of
        if not form and place_of is not None and ground.spec.forbidden:
            from chargehand.adapters.overheard import Overheard

            ground.overheard = Overheard(ground.spec, place_of(places))
        if not form or place_of is None:
            return places
        from chargehand.adapters.guarded import Guarded

        ground.guarded = Guarded(
            ground.parts.calls, ground.spec, form=form, folder=room.root / "hook", redactor=lambda: ground.redactor
        )
        await ground.guarded.start(place_of(places))
        return replace(places, hook=ground.guarded.hook.argv)

    async def _meter(self, places: Places, room: Room) -> Places:
        """Through the meter, when the agent is one of those that go there and can be told of it."""
        ground, parts = self._ground, self._ground.parts
        if parts.meter is None or ground.spec.agent not in parts.metered or as_stream(self._agent) is None:
            return places
        from chargehand.adapters.metering import Metered

        own = {"workspace": places.workspace, "home": places.home, "tmp": places.tmp, "room": room.root}
        spec = replace(ground.spec, model=ground.spec.model or parts.models.get(ground.spec.agent))
        scrub = tuple((str(own[name]), f"<{name}>") for name in own)
        ground.metered = Metered(parts.meter, spec, is_fenced=parts.relays, scrub=scrub)
        if parts.relays:
            await ground.metered.listen(room.root / "meter")
        return replace(places, meter=ground.metered.access)

    def _heard(self, launch: Launch) -> AgentRun | None:
        ground, stream = self._ground, as_stream(self._agent)
        spec, on_output, listener = ground.spec, ground.parts.on_output, ground.guarded or ground.overheard
        if stream is None:
            return None
        return AgentRun(
            stream,
            transcript=ground.files / "stdout.log",
            redactor=ground.redactor,
            tell=None if on_output is None else partial(on_output, spec.key),
            tokens=spec.tokens,
            usd=spec.usd,
            session=launch.session,
            heard=None if listener is None else listener.heard,
        )

    async def _previous(self, room: Room) -> Path | None:
        if self._ground.spec.previous is None:
            return None
        return await self._patch(*self._ground.spec.previous, room.given / "previous.patch")

    async def _diff(self, room: Room) -> Path | None:
        """What is under review, for those who only look."""
        spec = self._ground.spec
        if spec.role not in LOOKERS:
            return None
        return await self._patch(spec.since or spec.base, spec.commit or spec.base, room.given / "change.patch")

    async def _patch(self, base: str, commit: str, target: Path) -> Path:
        await self._ground.parts.workspaces.patch(base, commit, target, PATCH_BYTES)
        await asyncio.to_thread(self._keep_patch, target)
        return target

    def _keep_patch(self, patch: Path) -> None:
        """Show the agent no secret that is known, and keep a copy without what only looks like one."""
        ground = self._ground
        data = ground.redactor.data(patch.read_bytes())
        if len(data) >= PATCH_BYTES:
            data += _CUT
        patch.write_bytes(data)
        kept = without_secrets(data.decode("utf-8", "surrogateescape"))
        (ground.files / patch.name).write_bytes(kept.encode("utf-8", "surrogateescape"))
