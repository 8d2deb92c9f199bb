"""The scripted agent: a program that plays what a scenario says, in place of one that asks a model.

It stands alone (standard library only, nothing else of Chargehand) and imports little, so that it starts in some
twenty milliseconds and runs in any sandbox. It keeps the contract of every agent: the working directory is the
workspace, `CHARGEHAND_TASK`, `_ATTEMPT` and `_ROLE` choose the steps, what it says goes to `CHARGEHAND_RESULT`.

    python -m chargehand.testing.scripted scenario.yaml --task api --attempt 2
    python -m chargehand.testing.scripted scenario.yaml --check

Exit codes of its own: 64 the scenario is wrong or has nothing for this task, 65 a check of the scenario failed,
66 a step could not be done. docs/reference/scripted-agent.md describes every step.
"""
