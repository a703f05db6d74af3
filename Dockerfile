# The app for those who run Functions in containers, such as Azure Container Apps: docs/azure.md, In a container.
FROM mcr.microsoft.com/azure-functions/python:4-python3.13

ENV AzureWebJobsScriptRoot=/home/site/wwwroot \
    AzureFunctionsJobHost__Logging__Console__IsEnabled=true \
    ASPNETCORE_URLS=http://+:8080 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/home

# The packages first: they change more rarely than the code. Each file must have a hash of the lock.
COPY requirements.lock /tmp/requirements.lock
RUN python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes --requirement /tmp/requirements.lock \
    && rm /tmp/requirements.lock \
    # The host writes the keys of its functions here unless AzureWebJobsStorage names an account, and to its home directory.
    && groupadd --gid 10001 lockstep \
    && useradd --uid 10001 --gid lockstep --no-create-home --home-dir /home --shell /usr/sbin/nologin lockstep \
    && mkdir -p /azure-functions-host/Secrets /home/site/wwwroot /home/LogFiles /home/data \
    && chown -R lockstep:lockstep /azure-functions-host/Secrets /home

COPY --chown=root:lockstep . /home/site/wwwroot
RUN chmod -R u=rwX,g=rX,o= /home/site/wwwroot

# A port above 1023, which this user may open.
USER 10001:10001
EXPOSE 8080
