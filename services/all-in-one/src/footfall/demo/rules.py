"""The demo's rules: what somebody at Wayrota might want to hear of."""

from datetime import datetime
from typing import Final

_RULES: Final = """
rule "Trial began" {
  on "trial started" where SINCE
  do dashboard(note: "{{ account }} began a trial. {{ user }} is the one to talk to.")
}

rule "Trial became a customer" {
  on subscribed where SINCE
  do dashboard(note: "{{ account }} pays {{ event.amount }} {{ event.currency }} a month from now on.")
}

rule "Trial ran out" {
  on "trial expired" where SINCE
  do dashboard(note: "{{ account }} did not buy. {{ event.people }} people had signed up.")
}

rule "Error at a customer" {
  on "saw error" where $event.account is known and SINCE
  do dashboard(note: "{{ user }} of {{ account }} saw {{ event.code }} on {{ event.page }}.")
}

rule "Large invoice" {
  on "sent invoice" where $event.amount >= 200 and SINCE
  do dashboard(note: "{{ account }} bills {{ event.amount }} {{ event.currency }} through Wayrota.")
}

rule "Team grows" {
  on "invited teammate" where SINCE
  do dashboard(note: "{{ user }} invites a {{ event.role }} to {{ account }}: a seat more?")
}

rule "Long way saved" {
  on "optimised route" where $event.saved_km >= 35 and SINCE
  do dashboard(note: "{{ account }} saves {{ event.saved_km }} km with one route.")
}

rule "Large quote" {
  on "sent quote" where $event.amount >= 400 and SINCE
  do dashboard(note: "{{ account }} quotes {{ event.amount }} {{ event.currency }} through Wayrota.")
}

rule "Day planned in one go" {
  on "auto-planned day" where SINCE
  do dashboard(note: "{{ user }} of {{ account }} planned {{ event.jobs }} jobs in one go.")
}

rule "Takes data away" {     -- is every export worth a note? shadow shows what would come, and tells nobody
  on "exported report" where SINCE
  do dashboard(note: "{{ account }} exports {{ event.report }}.")
  mode shadow
}
"""


def rules_since(moment: datetime) -> str:
    """The rules, about what happens from then on: for each event of a past that is imported a suppressed note
    would be kept.
    """
    return _RULES.replace("SINCE", f'$event.time >= "{moment:%Y-%m-%dT%H:%M:%SZ}"')
