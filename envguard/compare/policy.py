"""How bad a difference is when nobody configured anything: a small, argued default.

====================  ========  ==========================================================
difference            severity  because
====================  ========  ==========================================================
package version       error     another version is other code
package missing       error     an import fails, or takes another path
package content       error     the same version with other bytes is other code
package build         warning   other compiled code of the same source (another wheel)
package extra         warning   it can shadow a module, or be found by a plug-in lookup
package origin        warning   the same version from elsewhere may be a fork
model                 error     another model gives other answers
unowned hook          error     it runs whenever Python starts (.pth, sitecustomize)
unowned shadow        error     it is imported instead of a package's own module
unowned module        warning   it can be imported, and no lock names it
other unowned file    note      it is not code, or a tool's own
Python 3.x            error     other language and other ABI
Python 3.x.y          warning   fixes change behaviour, rarely answers
implementation, ABI   error     compiled packages do not fit
operating system      error     other compiled code
architecture          error     other compiled code, other floating-point kernels
C library family      error     wheels for one do not run on the other
C library version     note      what a wheel needs of it is checked where it is installed
distribution          note      Python packages do not depend on it
====================  ========  ==========================================================

With a model, what it does not name, directly or through what it imports, is lowered one step;
but what is missing is not, because a model's inputs may need it.
"""

from dataclasses import replace

from envguard.model.findings import Area, Change, Finding, Severity

_PACKAGES = {
    Change.VERSION: Severity.ERROR,
    Change.MISSING: Severity.ERROR,
    Change.CONTENT: Severity.ERROR,
    Change.BUILD: Severity.WARNING,
    Change.EXTRA: Severity.WARNING,
    Change.ORIGIN: Severity.WARNING,
}
_FIELDS = {
    "python": Severity.ERROR,
    "python patch": Severity.WARNING,
    "implementation": Severity.ERROR,
    "abi": Severity.ERROR,
    "operating system": Severity.ERROR,
    "architecture": Severity.ERROR,
    "libc": Severity.ERROR,
    "libc version": Severity.NOTE,
    "distribution": Severity.NOTE,
}


def severity(area: Area, change: Change, subject: str) -> Severity:
    """The default severity of one difference; *subject* is a field's name, or a package's."""
    if area is Area.ARTIFACT:
        return Severity.ERROR
    if area is not Area.PACKAGES:
        return _FIELDS.get(subject, Severity.WARNING)
    return _PACKAGES[change]


def judged_for_model(finding: Finding, needed: frozenset[str]) -> Finding:
    """*finding* with whether a model that needs the packages *needed* cares about it."""
    if finding.area is not Area.PACKAGES or finding.change is Change.UNOWNED:
        return finding
    if finding.subject in needed:
        return replace(finding, needed=True)
    if finding.change is Change.MISSING:  # what a model is given may need what it does not name
        return replace(finding, needed=False)
    return replace(finding, needed=False, severity=finding.severity.lowered())
