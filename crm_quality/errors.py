"""Errors that a user can act on. Belongs here: exception types. Does not: programming errors."""


class CrmQualityError(Exception):
    """Something the user can mend: the message names the thing, the culprit and the next step."""


class SourceError(CrmQualityError):
    """One object of one source cannot be loaded; the others go on."""


class LockedError(CrmQualityError):
    """Another run holds the warehouse."""


class PublishRefusedError(CrmQualityError):
    """The run found something that must not be published."""
