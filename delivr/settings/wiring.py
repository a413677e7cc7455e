"""Dotted names of code in higher layers that lower layers call."""

from dataclasses import dataclass

from delivr.settings.environment import CELERY_BROKER_URL, IS_SQLITE

# Kind of effect: its `EffectHandler`.
EFFECT_HANDLERS = {
    "mail.send": "delivr.tenants.mails.SendInvitation",
    "mail.refused": "integrations.mails.RefusalMail",
    "mail.expiring": "integrations.expiring.ExpiryMail",
    "mail.release": "releases.messages.member_effects.ReleaseMail",
    "mail.digest": "releases.messages.digest.Digest",
    "message.post": "releases.messages.effects.PostMessage",
    "message.edit": "releases.messages.effects.EditMessage",
    "message.test": "releases.messages.testing.PostTest",
    "message.answer": "builds.buttons.effects.AnswerPress",
    "event.send": "releases.messages.event_effects.SendEvent",
    "ticket.create_epic": "releases.tickets.effects.CreateEpic",
    "ticket.remote_link": "releases.tickets.effects.LinkRelease",
    "ticket.comment": "releases.tickets.effects.CommentEpic",
    "ticket.move": "releases.tickets.effects.MoveEpic",
    "ticket.version": "releases.tickets.effects.CreateVersion",
    "ticket.fix_version": "releases.tickets.effects.PlanTickets",
    "ticket.release_version": "releases.tickets.effects.ReleaseVersion",
    "scm.create_branch": "releases.repository.effects.CreateBranch",
    "scm.tag": "releases.repository.effects.CreateTag",
    "scm.draft_release": "releases.repository.effects.DraftRelease",
    "build.trigger": "builds.effects.TriggerBuild",
    "build.cancel": "builds.cancelling.CancelBuild",
    "build.force_cancel": "builds.cancelling.ForceCancel",
    "build.stop_repeat": "builds.duplicates.StopDuplicate",
    "build.test": "builds.testbuilds.effects.StartTest",
    "build.test_stop": "builds.testbuilds.effects.StopTest",
    "store.step": "submissions.effects.TakeStep",
    "store.act": "submissions.effects.DoAct",
}


@dataclass(frozen=True)
class Job:
    """`run` does the job for one id, `due` lists the ids that are due (dotted names)."""

    run: str
    due: str
    every: int = 0  # seconds between two calls of `due`; 0: at each tick of the sweeper


JOBS = {
    "effect": Job(run="delivr.effects.runner.run_effect", due="delivr.effects.sweeper.due_effects"),
    "delivery": Job(
        run="builds.webhooks.deliveries.apply_delivery",
        due="builds.webhooks.deliveries.due_deliveries",
    ),
    "press": Job(run="builds.buttons.presses.apply", due="builds.buttons.presses.due"),
    "poll": Job(run="builds.polling.poller.poll_build", due="builds.polling.poller.due_builds"),
    "poll_test": Job(run="builds.polling.poller.poll_test", due="builds.polling.poller.due_tests"),
    "offers": Job(run="builds.offers.finding.look", due="builds.offers.finding.due"),
    "log": Job(run="builds.logs.reading.read_log", due="builds.logs.reading.due_logs"),
    "log_test": Job(
        run="builds.logs.reading.read_test_log", due="builds.logs.reading.due_test_logs"
    ),
    "branch": Job(run="releases.branches.check_branch", due="releases.branches.due"),
    "changes": Job(
        run="releases.repository.changes.read_changes", due="releases.repository.changes.due"
    ),
    "preflight": Job(run="submissions.preflight.check", due="submissions.preflight.due"),
    "submission": Job(run="submissions.reading.read", due="submissions.reading.due"),
    "health": Job(
        run="submissions.health.reading.read", due="submissions.health.reading.due", every=15
    ),
    "health_retention": Job(
        run="submissions.health.retention.delete_expired",
        due="submissions.health.retention.due",
        every=3600,
    ),
    "tickets": Job(run="releases.tickets.readiness.look_up", due="releases.tickets.readiness.due"),
    "verify": Job(
        run="integrations.verification.verify_by_id",
        due="integrations.verification.due_verifications",
        every=30,
    ),
    "expiry": Job(
        run="integrations.expiring.warn_by_id", due="integrations.expiring.due_warnings", every=3600
    ),
    "retention": Job(run="builds.retention.delete_expired", due="builds.retention.due", every=3600),
    "notes": Job(run="delivr.changes.delete_notes", due="delivr.changes.due_notes", every=60),
    "keys": Job(run="delivr.encryption.key_usage.run", due="delivr.encryption.key_usage.due"),
    "seal": Job(run="delivr.audit.sealing.seal", due="delivr.audit.sealing.due", every=5),
}
# Tables whose secrets are not in a SecretTextField: see `delivr.encryption.tables.SecretStore`.
SECRET_STORES = ["delivr.signin.sealing.SecondFactors"]
# Called with (tenant, integration_id, error) when a provider refuses a connection's credentials.
CREDENTIALS_REFUSED = "integrations.verification.credentials_refused"
# Functions that return panels for the admin's start page.
ADMIN_PANELS = ["builds.panels.panels", "delivr.effects.panels.panels"]
# Functions that return the metrics of `/metrics`: see `delivr.monitoring.collecting`.
METRICS = [
    "delivr.effects.metrics.figures",
    "integrations.metrics.figures",
    "builds.metrics.figures",
]
# Called with a release, its effects and the time: the cards of its page that show it in the stores.
STORE_CARDS = "submissions.card.store_cards"
# Called with a tenant's id, a build's id and the place of a file among its artifacts: opens it.
OPEN_ARTIFACT = "builds.artifacts.fetch"
# Called with a release whose builds have all become complete, within that transaction.
BUILDS_COMPLETE = "submissions.preflight.ask"
# Called with a connection; names the unfinished releases that use it.
CONNECTION_USERS = "releases.operations.unfinished_using"
# Called with a tenant; names its unfinished releases.
TENANT_USERS = "releases.operations.unfinished_of"
# Called with (tenant, actor) when a workspace is deleted, within that transaction.
TENANT_CLOSED = "integrations.operations.disconnect_all"
# The WSGI application around Django's: called with that, returns another; "": none.
WSGI_AROUND = "" if IS_SQLITE or not CELERY_BROKER_URL else "builds.webhooks.thin.ThinPath"
