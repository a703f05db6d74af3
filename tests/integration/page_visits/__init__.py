from tests.integration.page_visits.job import PageVisits

__all__ = ["PageVisits"]
