"""The task that asks a person about a decision of the gate, if the policy wants one to be asked.

It waits under *Required Actions* without a worker slot. What was answered is written to the ledger by the task after it
(`record_answer`), which may be retried without asking again. No answer in time counts as no.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param

APPROVE, REJECT = "Approve", "Reject"


class ApprovalOperator(HITLOperator):
    """Asks whether the version that the task `judge` judged shall become champion; asks nobody if nobody has to.

    Parameters
    ----------
    judged : XComArg or dict
        What `judge` returned: ``version`` and ``outcome`` among it.
    """

    template_fields = ("judged", "subject", "body")

    def __init__(self, *, judged: Any, **kwargs: Any) -> None:
        why = "Why; goes to the ledger with your name."
        kwargs["params"] = {"reason": Param("", type="string", maxLength=500, description=why, source="task")}
        super().__init__(
            subject="Shall this model become champion?",
            options=[APPROVE, REJECT],
            defaults=[REJECT],
            response_timeout=timedelta(hours=72),  # as gate.approval_hours says, once it runs
            execution_timeout=timedelta(minutes=10),
            **kwargs,
        )
        self.judged = judged

    def execute(self, context: Any) -> Any:
        """Wait for the answer, or return at once that none is needed."""
        from sentiment_catalog import task_settings

        settings = task_settings()
        if not context["params"]["promote"] or not (body := _form(settings, self.judged["version"])):
            return {}
        self.subject = f"Version {self.judged['version']} is judged {self.judged['outcome']}: promote it?"
        self.body = body
        self.response_timeout = timedelta(hours=settings.gate.approval_hours)
        return super().execute(context)


def record_answer(settings: Any, *, version: str, answer: dict[str, Any], run_id: str) -> Any:
    """Write to the ledger what a person answered in a run, once, and return whether the version may be promoted.

    Nothing is written if nobody was asked.
    """
    from sentiment.registry import Registry
    from sentiment.storage import Storage
    from sentiment.training.approval import NOBODY, approve, reject
    from sentiment.training.promotion import read_decision, standing_of

    registry = Registry(settings)
    model, decision = registry.version(version), read_decision(Storage(settings), version)
    if not answer:
        return standing_of(settings, model, decision)
    person, key = answer["responded_by_user"], f"answer-{version}-{run_id}-{answer['responded_at']}"
    said = {"reason": (answer["params_input"] or {}).get("reason") or "", "key": key}
    if person is None and "champion" in model.aliases:
        return standing_of(settings, model, decision)  # it was approved elsewhere, while nobody answered here
    if person is None:
        late = f"No answer within {settings.gate.approval_hours:g} hours."
        reject(settings, version=model, decision=decision, reason=late, actor=NOBODY, key=key)
    elif answer["chosen_options"] == [APPROVE]:
        approve(settings, registry=registry, version=model, decision=decision, actor=person["name"], **said)
    else:
        reject(settings, version=model, decision=decision, actor=person["name"], **said)
    return standing_of(settings, model, decision)


def _form(settings: Any, version: str) -> str:
    """Return what to show; empty if nobody has to be asked, or somebody has said no before."""
    from airflow.configuration import conf

    from sentiment.registry import Registry
    from sentiment.storage import Storage
    from sentiment.training.approval_form import approval_form
    from sentiment.training.promotion import read_decision, standing_of
    from sentiment.why import why

    model, decision = Registry(settings).version(version), read_decision(Storage(settings), version)
    if not standing_of(settings, model, decision).waiting:
        return ""
    found, base = why(settings, version), conf.get("api", "base_url", fallback="").rstrip("/")
    links = {"Where it comes from": f"{base}/sentiment-why/?q={version}"}
    links["Model card"] = f"{base}/sentiment-why/cards/{version}"
    if found.drift:
        links["Drift report"] = f"{base}/sentiment/checks/{found.drift.check}"
    return approval_form(decision, version=version, snapshot=model.snapshot, cause=found.cause, links=links)
