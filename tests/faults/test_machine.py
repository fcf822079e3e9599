"""What happens in a run that no later run would show."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ember_bench.models.store.salvage import open_response_store
from tests.faults.rows import answers
from tests.faults.study import FaultyServer, experiment, fill, responses, stored


def test_an_answer_is_stored_though_its_trial_was_cancelled(tmp_path: Path) -> None:
    async def main() -> None:
        study = experiment(workspace)
        study.service.attach(open_response_store(responses(workspace))[0])
        module = next(iter(study.cells[0].graph)).operator.lm_modules()[0]
        asking = asyncio.create_task(module.acall("1 + 2 = ?"))
        while not server.count:
            await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await study.service.close()

    with FaultyServer(answers) as server:
        workspace = fill(tmp_path, server.base_url)
        asyncio.run(main())
    assert stored(workspace) == 1
