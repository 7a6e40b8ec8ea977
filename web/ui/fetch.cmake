# Fetches the page's libraries with npm into WORK. Where its registry is out of reach, the rest is
# built all the same, without the page; the next build tries again.
file(MAKE_DIRECTORY ${WORK})
file(REMOVE ${WORK}/fetched)
file(COPY package.json package-lock.json DESTINATION ${WORK})
execute_process(
    COMMAND ${CMAKE_COMMAND} -E env NODE_EXTRA_CA_CERTS=${AUTHORITIES}
        ${NPM} ci --ignore-scripts --no-audit --no-fund --loglevel=error
    WORKING_DIRECTORY ${WORK} RESULT_VARIABLE failed)
if(NOT failed)
    file(REMOVE ${WORK}/absent)
    file(TOUCH ${WORK}/fetched)
elseif(NOT EXISTS ${WORK}/absent)
    message(WARNING "The web page is NOT built: npm cannot fetch its libraries (see above). "
        "Everything else is. Let npm reach a registry (npm config set registry URL) and build "
        "again, or leave the page out with -DLOM_PAGE=OFF.")
    file(TOUCH ${WORK}/absent)
endif()
