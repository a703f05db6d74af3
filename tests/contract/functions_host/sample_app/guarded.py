import azure.functions as func

guarded = func.Blueprint()


@guarded.route(auth_level=func.AuthLevel.FUNCTION)
def keyed(req: func.HttpRequest) -> str:
    return "keyed"


@guarded.route(auth_level=func.AuthLevel.FUNCTION)
def keyed_too(req: func.HttpRequest) -> str:
    return "keyed too"


@guarded.route(auth_level=func.AuthLevel.ADMIN)
def for_admins(req: func.HttpRequest) -> str:
    return "for admins"
