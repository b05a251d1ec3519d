"""Name of a signal's regional level; apart from the sheets, so that jobs don't depend on those."""


def regional_name(modality: str) -> str:
    """Gene feature that holds the regional level of a signal, where its modality has one."""
    return f"{modality}_regional"
